"""The section `load.lengths`: the sequence lengths of the queries."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dvabatch_cli.config.error import Finding, shown
from dvabatch_cli.config.section import MAX_ROWS, Count, Section

_LENGTH = re.compile(r"[1-9][0-9]{0,4}")


class ConstantLengths(Section):
    """All of one length."""

    distribution: Literal["constant"]
    value: Count
    """The length."""


class UniformLengths(Section):
    """Each length as likely as the other."""

    distribution: Literal["uniform"]
    low: Count = 1
    """Shortest."""
    high: Count
    """Longest; it occurs."""

    def findings(self) -> Iterator[Finding]:
        if self.low > self.high:
            yield Finding(("low",), shown(self.low), f"at most high ({self.high})")


class LognormalLengths(Section):
    """Rounded, and cut to `max`."""

    distribution: Literal["lognormal"]
    median: Annotated[float, Field(gt=0)]
    """Half of the lengths are below it."""
    sigma: Annotated[float, Field(ge=0, le=10)]
    """Standard deviation of the logarithm."""
    max: Count
    """Longest."""

    def findings(self) -> Iterator[Finding]:
        if self.median > self.max:
            yield Finding(("median",), f"{self.median:g}", f"at most max ({self.max})")


class HistogramLengths(Section):
    """As counted somewhere."""

    distribution: Literal["histogram"]
    weights: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)]
    """How often each length was seen; the key is the length, for example { "32": 120 }."""

    def findings(self) -> Iterator[Finding]:
        for key in self.weights:
            if not (_LENGTH.fullmatch(key) and int(key) <= MAX_ROWS):
                yield Finding(("weights", key), f"the key {shown(key)}", f"a length from 1 to {MAX_ROWS}")
        if not any(self.weights.values()):
            yield Finding(("weights",), "only zeros", "a weight above 0")

    @property
    def by_length(self) -> dict[int, float]:
        """Length to weight, the shortest first."""
        return dict(sorted((int(length), weight) for length, weight in self.weights.items()))


LENGTHS: dict[str, type[Section]] = {
    "constant": ConstantLengths,
    "uniform": UniformLengths,
    "lognormal": LognormalLengths,
    "histogram": HistogramLengths,
}
LengthsSection = Annotated[
    ConstantLengths | UniformLengths | LognormalLengths | HistogramLengths, Field(discriminator="distribution")
]
