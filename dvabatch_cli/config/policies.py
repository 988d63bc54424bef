"""The section `policies`: what is compared, each with the options that it understands."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dvabatch_cli.config.error import Finding
from dvabatch_cli.config.section import Count, Microseconds, Section, exclusive

_MAX_NAME = 64


def _printable(name: str) -> str:
    if not (0 < len(name) <= _MAX_NAME and name.isprintable()):
        raise ValueError(f"1 to {_MAX_NAME} printable characters")
    return name


def _sorted_once(lengths: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(lengths)) < len(lengths):
        raise ValueError("each length once")
    return tuple(sorted(lengths))


def usual_merge_stage(stages: int) -> int:
    """`max_allow_merge_stage` where it is not given."""
    return stages // 2


OfWhole = Annotated[float, Field(ge=0, le=1e6)]
Lengths = Annotated[tuple[Count, ...], Field(min_length=1), AfterValidator(_sorted_once)]


class PolicyOptions(Section):
    """Options of every policy. Of two options for the same limit at most one is given."""

    scheduler_type: str
    """Which policy."""
    name: Annotated[str, AfterValidator(_printable)]
    """Name in tables and figures; the scheduler_type if not given, numbered where several share it."""
    max_batch_size: Count
    """Largest batch it opens; engine.max_batch if not given."""
    max_queue: Annotated[int, Field(ge=1)] | None = None
    """Queries that may wait; further ones are rejected. Without bound if not given."""
    drop_late: bool = False
    """Whether a waiting query is rejected as soon as its deadline is nearer than the profile's time for it alone."""
    preferred_seq_len: Lengths | None = None
    """Sequence lengths of the lanes, in any order; those of the other policies if not given."""

    def findings(self) -> Iterator[Finding]:
        yield from ()


class EntryOptions(PolicyOptions):
    """Options of the policies that fill a batch before it starts."""

    max_queue_delay_microseconds: Microseconds | None = None
    """How long the oldest query may wait for company; 0 if neither this nor the next is given."""
    max_queue_delay_of_whole: OfWhole | None = None
    """The same in times of the whole model at batch 1."""
    instances: Annotated[int, Field(ge=1, le=1024)] = 1
    """Batches under way at a time; for INPUT_DVA as many as there are executors, if not given."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        yield from exclusive(self, "max_queue_delay_microseconds", "max_queue_delay_of_whole")

    def queue_delay_us(self, whole_us: float) -> float:
        """The delay in microseconds where the whole model takes `whole_us` at batch 1."""
        if self.max_queue_delay_of_whole is not None:
            return self.max_queue_delay_of_whole * whole_us
        return float(self.max_queue_delay_microseconds or 0)


class FavorOptions(PolicyOptions):
    """Options of the policies that split and merge by what a stage favours."""

    favor_per_stage: tuple[Count, ...] | None = None
    """Batch size that each stage favours; null: as measured."""


class MergeOptions(PolicyOptions):
    """Options of the policies that stretch a batch under way. They enter at once: nothing waits for company."""

    max_allow_merge_stage: Annotated[int, Field(ge=0)] | None = None
    """A batch accepts company while its stages completed plus the one running are at most this; half the stages
    if not given, which is left open while slicing.stages is auto."""
    max_allow_merge_batchsize: Count
    """Largest batch that a merge makes; max_batch_size if not given."""
    max_allow_merge_microseconds: Microseconds | None = None
    """Oldest age since its first launch at which a batch accepts company; without bound if neither this nor the next
    is given."""
    max_allow_merge_of_whole: OfWhole | None = None
    """The same in times of the whole model at batch 1."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        yield from exclusive(self, "max_allow_merge_microseconds", "max_allow_merge_of_whole")

    def merge_stage(self, stages: int) -> int:
        """`max_allow_merge_stage` where the model is cut into `stages`."""
        return usual_merge_stage(stages) if self.max_allow_merge_stage is None else self.max_allow_merge_stage

    def merge_age_us(self, whole_us: float) -> float | None:
        """The age limit in microseconds where the whole model takes `whole_us` at batch 1; None: no limit."""
        if self.max_allow_merge_of_whole is not None:
            return self.max_allow_merge_of_whole * whole_us
        return None if self.max_allow_merge_microseconds is None else float(self.max_allow_merge_microseconds)


class NormalOptions(EntryOptions):
    """One entry, one exit: a batch is closed when it starts."""

    scheduler_type: Literal["NORMAL"]


class NormalInputOptions(EntryOptions):
    """As NORMAL with one queue for all lengths, padded to the longest member."""

    scheduler_type: Literal["NORMAL_INPUT"]


class InputDvaOptions(EntryOptions):
    """One lane per sequence length; short queries leave early."""

    scheduler_type: Literal["INPUT_DVA"]


class OperatorDvaOptions(FavorOptions, EntryOptions):
    """Splits and merges towards the batch size that the next stage favours."""

    scheduler_type: Literal["OPERATOR_DVA"]


class LoadDvaOptions(MergeOptions):
    """Stretches the youngest batch by late queries."""

    scheduler_type: Literal["LOAD_DVA"]


class HybridDvaOptions(FavorOptions, MergeOptions):
    """LOAD_DVA and OPERATOR_DVA together."""

    scheduler_type: Literal["HYBRID_DVA"]


class AutoSetting(Section):
    """How AUTO goes about a certain load."""

    up_to: Annotated[float, Field(gt=0)]
    """Utilization to which it serves; the last one serves beyond."""
    max_batch_size: Count
    """Largest batch it opens."""
    max_queue_delay_microseconds: Microseconds = 0
    """How long the oldest query may wait for company."""
    instances: Annotated[int, Field(ge=1, le=1024)] = 1
    """Batches under way at a time."""
    ahead: bool = False
    """With one instance: the next batch is opened just in time to follow the one that runs without a pause."""
    mixed: bool = False
    """One queue for all lengths, padded to the longest member."""
    in_room: bool = False
    """Batches are opened only while the device has room for them."""
    catching_up: bool = False
    """Waiting queries catch up with a batch at a boundary where that pays."""
    usual: Annotated[float, Field(ge=0)] | None = None
    """Queries that are here on average at the load it is meant for; three standard deviations more, and the next one serves."""


class AutoOptions(PolicyOptions):
    """Goes by the pace of arrivals: ordinary batching where that is best, early entry and catching up where they pay."""

    scheduler_type: Literal["AUTO"]
    settings: tuple[AutoSetting, ...] | None = None
    """What serves at which load, in rising order; tuned in simulation on the measured profile if not given."""
    foresight: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """What a nanosecond of the device is worth to the queries that are expected, in query nanoseconds."""

    def findings(self) -> Iterator[Finding]:
        yield from super().findings()
        bounds = [setting.up_to for setting in self.settings or ()]
        if self.settings is not None and (not bounds or bounds != sorted(set(bounds))):
            yield Finding(("settings",), f"settings up to {bounds}", "one or more, each up to more than the one before")


POLICIES: dict[str, type[Section]] = {
    "NORMAL": NormalOptions,
    "NORMAL_INPUT": NormalInputOptions,
    "LOAD_DVA": LoadDvaOptions,
    "INPUT_DVA": InputDvaOptions,
    "OPERATOR_DVA": OperatorDvaOptions,
    "HYBRID_DVA": HybridDvaOptions,
    "AUTO": AutoOptions,
}
AnyPolicy = (
    NormalOptions
    | NormalInputOptions
    | LoadDvaOptions
    | InputDvaOptions
    | OperatorDvaOptions
    | HybridDvaOptions
    | AutoOptions
)
PolicySection = Annotated[AnyPolicy, Field(discriminator="scheduler_type")]
