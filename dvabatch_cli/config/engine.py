"""The sections `slicing`, `engine`, `slo` and `checks`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from dvabatch_cli.config.error import Finding
from dvabatch_cli.config.section import Count, Milliseconds, Section, repeated

DEFAULT_MAX_BATCH = 32
DEFAULT_STAGES = 4
AUTO: Literal["auto"] = "auto"


def _only_auto(text: Any) -> Any:
    if text != AUTO:
        raise ValueError(f'a whole number, or "{AUTO}"')
    return text


# Two kinds by their type, so that a wrong value is told once.
Stages = Annotated[
    Annotated[int, Field(ge=1, le=256), Tag("number")]
    | Annotated[Literal["auto"], BeforeValidator(_only_auto), Tag("auto")],
    Discriminator(lambda value: "auto" if isinstance(value, str) else "number"),
]


# Kernels of another library sum in another order, and narrower types round each sum.
_ON_TENSORRT = {"fp32": 1e-3, "tf32": 5e-3, "fp16": 2e-2}


class SlicingSection(Section):
    """Into how many stages the model is cut."""

    stages: Stages = DEFAULT_STAGES
    """Number of stages; auto: as many as pay on the machine that slices, 1 included."""
    cut_behind: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=255)] = ()
    """Tensors of the model behind which it is cut, one fewer than stages; without any, cuts are chosen by what is timed."""

    def findings(self) -> Iterator[Finding]:
        yield from repeated(self.cut_behind, "cut_behind")
        count = len(self.cut_behind)
        if count and self.stages != count + 1:
            wanted = f"{count + 1}, one more than the {count} of slicing.cut_behind"
            yield Finding(("stages",), str(self.stages), wanted, f"set slicing.stages to {count + 1}")


class EngineSection(Section):
    """What runs the stages."""

    backend: Literal["auto", "onnxruntime", "tensorrt", "table"] = "auto"
    """auto: tensorrt where it works, else onnxruntime; table: a latency table, without a model."""
    precision: Literal["fp32", "fp16", "tf32"] = "fp32"
    """Arithmetic of the built engines."""
    max_batch: Count = DEFAULT_MAX_BATCH
    """Largest batch an engine takes."""
    executors_per_stage: Annotated[int, Field(ge=1, le=1024)] = 4
    """Launches of one stage that may run at once."""
    buffer_set_size: Annotated[int, Field(ge=1, le=1024)] = 8
    """Buffer sets: batches under way that lie apart."""
    launch_timeout_ms: Milliseconds | None = None
    """A launch that has not ended by then is given up; if not given after a hundred times what the profile says of the longest
    launch, and after 10 s at the least."""
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """Threads inside an operator (onnxruntime); 0: all cores."""
    keep_awake: bool = False
    """Whether cores are kept from sleeping while a profile or points are measured: those of a virtual machine may wake up two
    on one physical core."""
    cuda_graphs: bool = True
    """Whether stages are captured as CUDA graphs (tensorrt); false launches them plainly."""
    builder_optimization_level: Annotated[int, Field(ge=0, le=5)] = 3
    """How hard TensorRT looks for fast kernels: higher builds slower."""
    small_batch: Annotated[int, Field(ge=0)] = 0
    """Batches of up to so many rows run on kernels chosen for them (tensorrt); engines take twice as long to build. 0: the
    same for all."""
    workspace_mib: Annotated[int, Field(ge=1)] | None = None
    """Device memory that a kernel may use while it runs (tensorrt); as much as there is if not given."""
    table: Annotated[str, Field(min_length=1)] | None = None
    """Path of the latency table, relative to the config's folder."""

    def findings(self) -> Iterator[Finding]:
        if self.backend == "table" and self.table is None:
            yield Finding((), "no table", "the path of a latency table in engine.table", "the backend is table")
        if self.backend != "table" and self.table is not None:
            hint = 'set engine.backend to "table" or remove engine.table'
            yield Finding(("table",), f'a table for the backend "{self.backend}"', 'the backend "table"', hint)
        if self.small_batch >= self.max_batch:
            wanted = f"less than engine.max_batch, {self.max_batch}"
            yield Finding(("small_batch",), str(self.small_batch), wanted, "lower it, or leave it out")


class SloSection(Section):
    """The service level objective."""

    response_ms: Milliseconds
    """Answers within this time count as good."""
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Share of the answers that must be good."""


class ChecksSection(Section):
    """How answers are compared with those of the whole model on each query alone."""

    sample: Annotated[int, Field(ge=0, le=1_000_000)] = 64
    """Number of answers compared; 0: none."""
    tolerance: Annotated[float, Field(gt=0)] | None = None
    """Largest error, relative to the largest magnitude of the whole model's answer; if not given 1e-4 on onnxruntime, and on
    tensorrt by its precision: fp32 1e-3, tf32 5e-3, fp16 2e-2."""

    error_limit: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest share of the queries that may fail in a valid run."""

    twin: bool = False
    """Whether each measured point is also simulated on the same schedule, at the speed that the machine showed in launches
    which had it to themselves; a point during which that speed changed is measured again."""

    def tolerance_on(self, backend: str, precision: str) -> float:
        """The tolerance of answers from this back end at this precision; the reference is fp32 on the CPU."""
        if self.tolerance is not None:
            return self.tolerance
        return _ON_TENSORRT[precision] if backend == "tensorrt" else 1e-4
