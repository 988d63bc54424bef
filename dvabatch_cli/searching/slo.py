"""The objective that a search holds policies to: a quantile of the response, and the time that it may take."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from dvabatch_cli.config import Config
from dvabatch_cli.config.section import MAX_SECONDS
from dvabatch_cli.errors import CommandError

_FORM = re.compile(r"p(?P<percent>\d{1,2}(\.\d{1,6})?):(?P<time>\d{1,9}(\.\d{1,9})?)(?P<unit>us|ms|s)", re.ASCII)
_NS = {"us": 10**3, "ms": 10**6, "s": 10**9}


@dataclass(frozen=True, slots=True)
class Slo:
    """The share of the offered queries that must be answered within `bound_ns` of their scheduled arrival."""

    share: Fraction
    bound_ns: int

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise CommandError(
                f"an objective for p{_number(100 * self.share)} cannot be shown by any sample: "
                "wanted a quantile between p0 and p100, such as p99.9"
            )
        if not 1 <= self.bound_ns <= MAX_SECONDS * 1e9:
            raise CommandError(
                f"an objective of {self.bound_ns} ns: wanted from 1 ns to {MAX_SECONDS:g} s, such as p99:50ms"
            )

    @property
    def quantile(self) -> str:
        """As people call it: p99.9."""
        return f"p{_number(100 * self.share)}"

    @property
    def bound_ms(self) -> float:
        return self.bound_ns / 1e6

    def __str__(self) -> str:
        return f"{self.quantile}:{self.bound_ms:.12g}ms"


def slo_of(text: str | None, config: Config) -> Slo:
    """What the command line says, else the config's `slo`.

    Raises:
        CommandError: neither says any, or what is said is no quantile and time.
    """
    if text is not None:
        return _read(text)
    if config.slo is None:
        raise CommandError(
            f"config {config.name} has no slo, and none is given: add --slo p99:50ms, or slo to the config"
        )
    return Slo(Fraction(repr(config.slo.quantile)), math.floor(Decimal(repr(config.slo.response_ms)) * 10**6))


def _read(text: str) -> Slo:
    said = _FORM.fullmatch(text)
    if said is None:
        kind = text.partition(":")[0]
        hint = (
            f"; a {kind} is no share of the queries, of which an interval could be told"
            if kind in {"mean", "max", "avg", "p100"}
            else ""
        )
        raise CommandError(
            f"--slo {text!r}: wanted a quantile and a time in us, ms or s, such as p99:50ms or p99.9:0.2s{hint}"
        )
    return Slo(Fraction(said["percent"]) / 100, math.floor(Fraction(said["time"]) * _NS[said["unit"]]))


def _number(value: Fraction) -> str:
    return f"{float(value):.10g}"
