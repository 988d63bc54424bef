"""What the page reads of a report, and how large it may be; configs/schema/report.schema.json has the whole of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from dvabatch.reporting.errors import ReportError

_SMALLEST: Final = 1e-9
# Bounds that no real report comes near, and that keep sums finite and drawing short.
_Number = Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)]


def _measurable(value: float) -> float:
    if 0 < value < _SMALLEST:
        raise ValueError(f"0 or at least {_SMALLEST:g}")
    return value


_Measure = Annotated[_Number, AfterValidator(_measurable)]  # a time, a rate, or a ratio: what is drawn
_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
_Flag = Annotated[bool, Field(strict=True)]
_Text = Annotated[str, Field(strict=True)]
_Name = Annotated[str, Field(strict=True, max_length=200)]
_Interval = Annotated[list[_Measure], Field(min_length=2, max_length=2)]
_Rows = Annotated[str, StringConstraints(pattern="^[1-9][0-9]{0,6}$")]
_Curve = Annotated[dict[_Rows, _Measure], Field(max_length=1000)]
_Role = Literal["policy", "untuned", "swept"]


class _Load(TypedDict):
    process: _Name
    request_rate_rps: _Measure
    utilization: _Measure | None
    seed: NotRequired[_Count | None]
    schedule_sha256: _Name


class _ComparedLoad(TypedDict):
    process: _Name
    request_rate_rps: _Measure
    utilization: _Measure | None


class _Policy(TypedDict):
    scheduler_type: _Name
    name: NotRequired[_Name | None]
    max_batch_size: NotRequired[_Count | None]
    max_queue_delay_microseconds: NotRequired[_Number | None]


class _Counts(TypedDict):
    offered: _Count
    completed: _Count
    rejected: _Count
    failed: _Count
    cancelled: _Count


class _Spread(TypedDict):
    mean: _Measure | None
    mean_ci95: _Interval | None
    p50: _Measure | None
    p99: _Measure | None


class _StageUse(TypedDict):
    index: Annotated[int, Field(strict=True, ge=0, lt=1000)]
    batch_histogram: Annotated[dict[_Rows, _Count], Field(max_length=10_000)]
    padding_waste: _Number | None


class _Twin(TypedDict):
    speed: _Interval | None
    disturbance: NotRequired[_Interval | None]
    steady: _Flag


class _Gpu(TypedDict):
    clocks_changed: NotRequired[_Flag | None]
    throttled: NotRequired[_Flag | None]


class _Faults(TypedDict):
    launches_given_up: NotRequired[_Count]


class _Overhead(TypedDict):
    device_busy_fraction: NotRequired[_Number | None]
    bytes_copied: NotRequired[_Count]


class _Run(TypedDict):
    policy: _Policy
    role: _Role
    load: _Load
    admission: NotRequired[_Name]
    valid: _Flag
    saturated: _Flag
    invalid_reasons: Annotated[list[_Text], Field(max_length=100)]
    attempts: NotRequired[_Count]
    twin: NotRequired[_Twin | None]
    gpu: NotRequired[_Gpu | None]
    faults: NotRequired[_Faults | None]
    counts: _Counts
    reasons: NotRequired[Annotated[dict[_Text, _Count], Field(max_length=1000)]]
    response_ms: _Spread
    response_cdf_ms: Annotated[list[_Measure], Field(min_length=101, max_length=101)] | None
    request_throughput_rps: _Measure | None
    goodput_rps: _Measure | None
    served_whole: NotRequired[_Number | None]
    stages: Annotated[list[_StageUse], Field(max_length=1000)]
    operations: Annotated[dict[_Name, _Count], Field(max_length=100)]
    overhead: NotRequired[_Overhead]


class _Compared(TypedDict):
    policy: _Text
    baseline: _Text
    baseline_role: _Role
    load: _ComparedLoad
    seeds: _Count
    ratio: _Measure | None
    ratio_ci95: _Interval | None
    p: _Number | None
    mean_ms: _Measure | None
    baseline_mean_ms: _Measure | None
    p99_ratio: _Measure | None
    answered: NotRequired[_Share]
    baseline_answered: NotRequired[_Share]
    valid: _Flag
    saturated: _Flag
    baseline_saturated: _Flag
    notes: Annotated[list[_Text], Field(max_length=1000)]


class _Stage(TypedDict):
    index: _Count
    nodes: NotRequired[_Count | None]
    crossing_bytes_per_row: NotRequired[_Number | None]
    favored_batch: NotRequired[_Count | None]
    sha256: NotRequired[_Text | None]


class _Model(TypedDict):
    name: _Name
    sha256: NotRequired[_Text | None]
    stages: Annotated[list[_Stage], Field(max_length=1000)]


class _Engine(TypedDict):
    backend: NotRequired[_Name | None]
    precision: NotRequired[_Name | None]
    version: NotRequired[_Name | None]
    max_batch: NotRequired[_Count | None]


class _ProfileStage(TypedDict):
    stage: _Count
    lane: int | _Name | None
    latency_ms: Annotated[_Curve, Field(min_length=1)]


class _Profile(TypedDict):
    stages: Annotated[list[_ProfileStage], Field(max_length=1000)]
    slicing_tax: NotRequired[_Curve | None]
    capacity_rps: NotRequired[_Measure | None]
    launch_us: NotRequired[_Number | None]
    boundary_us: NotRequired[_Number | None]
    copy_us_per_row: NotRequired[_Number | None]


class _Correctness(TypedDict):
    checked: _Count
    max_abs_error: NotRequired[_Number | None]
    max_rel_error: NotRequired[_Number | None]
    tolerance: NotRequired[_Number | None]
    passed: _Flag


class _Report(TypedDict):
    name: _Name
    created_at: _Name | None
    command: _Text | list[_Text] | None
    environment: dict[str, Any]
    dvabatch_version: _Name
    config: dict[str, Any]
    model: _Model | None
    engine: _Engine
    profile: _Profile | None
    correctness: _Correctness | None
    runs: Annotated[list[_Run], Field(max_length=20_000)]
    comparison: Annotated[list[_Compared], Field(max_length=20_000)]


_REPORT: Final = TypeAdapter(_Report)


def check(report: Mapping[str, Any]) -> None:
    """Refuses a report whose fields are not what the page relies on.

    Raises:
        ReportError: names the first that is wrong, what came and what was wanted.
    """
    try:
        _REPORT.validate_python(report)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in wrong["loc"]).lstrip(".")
        came = "nothing" if wrong["type"] == "missing" else f"{wrong['input']!r:.60}"
        wanted = (
            "it"
            if wrong["type"] == "missing"
            else wrong["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        )
        raise ReportError(
            f"{where:.200} of the report is {came}, wanted {wanted}: it is damaged; write it anew"
        ) from error
