"""The section `faults`: what goes wrong on purpose. What is drawn is drawn from the load's seed."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dvabatch_cli.config.error import Finding, shown
from dvabatch_cli.config.section import MAX_REQUESTS, MAX_SECONDS, Section, exclusive

Rate = Annotated[float, Field(gt=0, le=1)]
Instant = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Delay = Annotated[float, Field(ge=0, le=MAX_SECONDS * 1e3)]
Stage = Annotated[int, Field(ge=0, le=255)]


class FaultOptions(Section):
    """Options of every fault."""

    kind: str
    """What goes wrong."""


class SlowFault(FaultOptions):
    """A stage takes longer than it should."""

    kind: Literal["slow"]
    stage: Stage
    """Which one, counted from 0."""
    factor: Annotated[float, Field(ge=1, le=10_000)]
    """How many times as long it takes."""
    from_s: Instant = 0.0
    """In launches that start from this instant of the run."""
    until_s: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = None
    """And before this one; to the end if not given."""

    def findings(self) -> Iterator[Finding]:
        if self.until_s is not None and self.until_s <= self.from_s:
            yield Finding(("until_s",), shown(self.until_s), f"more than from_s ({self.from_s:g})")


class LaunchFault(FaultOptions):
    """Something about single launches of a stage."""

    stage: Stage
    """Which stage, counted from 0."""
    rate: Rate | None = None
    """The share of its launches, drawn from the load's seed."""
    launch: Annotated[int, Field(ge=0, le=MAX_REQUESTS)] | None = None
    """Or one launch of that stage by its number, counted from 0."""

    def findings(self) -> Iterator[Finding]:
        yield from exclusive(self, "rate", "launch", needed=True)


class FailFault(LaunchFault):
    """A stage ends without a result."""

    kind: Literal["fail"]


class HangFault(LaunchFault):
    """A stage never ends."""

    kind: Literal["hang"]


class QueryFault(FaultOptions):
    """Something about single queries."""

    rate: Rate
    """The share of the queries, drawn from the load's seed."""
    after_ms: Delay
    """Milliseconds after the query's scheduled arrival."""


class CancelFault(QueryFault):
    """A query is given up by whoever sent it."""

    kind: Literal["cancel"]


class DeadlineFault(QueryFault):
    """A query has a deadline of its own."""

    kind: Literal["deadline"]


class DeviceLostFault(FaultOptions):
    """Nothing runs any more."""

    kind: Literal["device_lost"]
    at_s: Instant
    """From this instant of the run."""


FAULTS: dict[str, type[Section]] = {
    "slow": SlowFault,
    "fail": FailFault,
    "hang": HangFault,
    "cancel": CancelFault,
    "deadline": DeadlineFault,
    "device_lost": DeviceLostFault,
}
AnyFault = SlowFault | FailFault | HangFault | CancelFault | DeadlineFault | DeviceLostFault
FaultSection = Annotated[AnyFault, Field(discriminator="kind")]
Faults = Annotated[tuple[FaultSection, ...], Field(max_length=100)]
FAILING = (FailFault, HangFault, DeviceLostFault)  # those that make queries fail
