"""The section `load`: which queries arrive, when, and how many."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from dvabatch_cli.config.error import Finding, shown
from dvabatch_cli.config.lengths import LengthsSection
from dvabatch_cli.config.section import (
    Level,
    Milliseconds,
    Rates,
    Requests,
    Seconds,
    Section,
    Seed,
    Utilizations,
    exclusive,
    repeated,
)


def _burstiness(value: Any) -> Any:
    if value == "inf":
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError('a number above 0 or "inf"')
    return value


Burstiness = Annotated[
    float,
    Field(gt=0, allow_inf_nan=True),
    BeforeValidator(_burstiness),
    PlainSerializer(lambda value: "inf" if math.isinf(value) else value),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "inf"}]}),
]


class LoadOptions(Section):
    """Options of every load. It ends with `num_requests` or after `duration_s`; with neither, by its process:
    2,000 requests, the end of its steps or of its ramp, or the end of the replayed file."""

    process: str
    """How arrivals are spread."""
    num_requests: Requests | None = None
    """Requests of one measured point."""
    duration_s: Seconds | None = None
    """Or how long a measured point lasts."""
    max_duration_s: Seconds | None = None
    """A measured point sends nothing after this time, whatever is left."""
    warmup_requests: Annotated[int, Field(ge=0)] = 0
    """Requests sent at once before each measured point of a real run, which no figure counts."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    """Each seed gives a schedule, and each policy meets all of them."""
    lengths: LengthsSection | None = None
    """Sequence lengths of the requests; none if not given."""
    admission: Literal["pull", "push"] = "pull"
    """pull: the driver takes what is due at each decision; push: a sender hands requests over."""
    max_concurrency: Requests | None = None
    """Most requests under way at once: further ones are held back, and their response still counts from their schedule; no
    bound if not given."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """A measured point is measured again, this often in all, while its sender is late or its host unsteady or slow; the attempt
    that was disturbed least counts. (`search` looks at the sender only, and the last attempt counts.)"""
    deadline_ms: Milliseconds | None = None
    """A request that has not entered by then is rejected; no deadline if not given."""

    def findings(self) -> Iterator[Finding]:
        yield from exclusive(self, "num_requests", "duration_s")
        yield from repeated(self.seeds, "seeds")
        if self.max_concurrency is not None and self.admission == "push":
            hint = "a sender thread hands over whatever is due"
            yield Finding(("max_concurrency",), "a bound for pushed requests", 'the admission "pull"', hint)
        if self.lengths is not None:
            yield from (finding.under("lengths") for finding in self.lengths.findings())


class RatedLoad(LoadOptions):
    """A process with a mean rate; each rate given is a measured point."""

    utilization: Utilizations | None = None
    """Mean rates as fractions of the measured capacity."""
    request_rate: Rates | None = None
    """Or mean rates in requests per second."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        yield from self._one_meaning()
        for name in ("utilization", "request_rate"):
            yield from repeated(getattr(self, name) or (), name)

    def _one_meaning(self) -> Iterator[Finding]:
        return exclusive(self, "utilization", "request_rate", needed=True)

    def rates_rps(self, capacity_rps: float) -> tuple[float, ...]:
        """The mean rate of each measured point, in the config's order; empty where the process has one of its own."""
        if self.request_rate is not None:
            return self.request_rate
        return tuple(utilization * capacity_rps for utilization in self.utilization or ())


class ShapedLoad(RatedLoad):
    """A process whose rate changes by itself.

    Either its levels mean what `unit` says, and there is one measured point; or `utilization` or `request_rate` gives
    the mean of each measured point, and the levels only its shape.
    """

    unit: Literal["utilization", "request_rate"] | None = None
    """What its levels are: fractions of the measured capacity (the default where no mean rate is given), or requests
    per second."""

    def _one_meaning(self) -> Iterator[Finding]:
        return exclusive(self, "utilization", "request_rate", "unit", needed=True)

    def level_rps(self, level: float, capacity_rps: float) -> float:
        """`level` in requests per second, for a load with a `unit`."""
        return level if self.unit == "request_rate" else level * capacity_rps


class ConstantLoad(RatedLoad):
    """Evenly spaced."""

    process: Literal["constant"]


class PoissonLoad(RatedLoad):
    """Independent arrivals."""

    process: Literal["poisson"]


class GammaLoad(RatedLoad):
    """Gaps of a gamma distribution."""

    process: Literal["gamma"]
    burstiness: Burstiness
    """Shape of the gaps: 1 is Poisson, below 1 bursty, "inf" constant."""


class MmppLoad(ShapedLoad):
    """Poisson with a rate that jumps between two states."""

    process: Literal["mmpp"]
    states: tuple[Level, Level]
    """Levels of the low and the high state."""
    dwell_ms: tuple[Milliseconds, Milliseconds]
    """Mean time in the low and in the high state."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        if not any(self.states):
            yield Finding(("states",), "only zeros", "a level above 0")
        if self.states[0] > self.states[1]:
            yield Finding(("states",), shown(self.states), "[low, high]", "swap them, and dwell_ms too")


class StepLoad(ShapedLoad):
    """Poisson with a rate that changes in steps; it ends with the last one."""

    process: Literal["step"]
    steps: Annotated[tuple[tuple[Seconds, Level], ...], Field(min_length=1, max_length=10_000)]
    """[seconds, level] of each step."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        if not any(level for _, level in self.steps):
            yield Finding(("steps",), "only levels of 0", "a level above 0")


class RampLoad(ShapedLoad):
    """Poisson with a rate that changes evenly; it ends with the ramp."""

    process: Literal["ramp"]
    start: Level = Field(alias="from")
    """Level at the start."""
    to: Level
    """Level at the end."""
    over_s: Seconds
    """How long the ramp takes."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        if self.start == self.to == 0:
            yield Finding(("to",), "a ramp from 0 to 0", "a level above 0")


class ReplayLoad(RatedLoad):
    """Arrivals recorded elsewhere: at their own rate, or stretched in time to the mean rates given."""

    process: Literal["replay"]
    file: Annotated[str, Field(min_length=1)]
    """Path of the recording, relative to the config's folder."""
    format: Literal["csv", "intervals", "jsonl"] | None = None
    """Its format; by the file's ending if not given."""

    def _one_meaning(self) -> Iterator[Finding]:
        return exclusive(self, "utilization", "request_rate")


LOADS: dict[str, type[Section]] = {
    "poisson": PoissonLoad,
    "constant": ConstantLoad,
    "gamma": GammaLoad,
    "mmpp": MmppLoad,
    "step": StepLoad,
    "ramp": RampLoad,
    "replay": ReplayLoad,
}
AnyLoad = PoissonLoad | ConstantLoad | GammaLoad | MmppLoad | StepLoad | RampLoad | ReplayLoad
LoadSection = Annotated[AnyLoad, Field(discriminator="process")]
