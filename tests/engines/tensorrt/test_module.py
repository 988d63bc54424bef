"""A loaded engine and its executors, on a stand-in for the library: what is told to it, and how often."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.errors import BackendMissingError, EngineError
from engines.tensorrt import binding, module
from engines.tensorrt.module import TensorRTModule
from slicer.manifest import TensorSpec

INPUTS = (TensorSpec("x", "float32", ("N", 4)),)
OUTPUTS = (TensorSpec("y", "float32", ("N", 2)),)


class Context:
    """Keeps what it is told; takes batches of up to 8."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.device_memory = 0
        self.runs = True

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.told.append(("profile", index, stream))
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.told.append(("shape", name, shape))
        return shape[0] <= 8

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.told.append(("address", name, address))
        return address % 256 == 0

    def execute_async_v3(self, stream: int) -> bool:
        self.told.append(("run", stream))
        return self.runs

    def infer_shapes(self) -> list[str]:
        return []

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (3, 4) if name == "x" else (3, 2)


class Engine:
    """With another that is for small batches."""

    def __init__(self, device_memory_size: int = 700, small: Engine | None = None) -> None:
        self.device_memory_size = device_memory_size
        self.small = small
        self.contexts: list[Context] = []

    def create_execution_context_without_device_memory(self) -> Context:
        self.contexts.append(Context())
        return self.contexts[-1]

    def get_tensor_dtype(self, name: str) -> str:
        return "DataType.FLOAT" if name == "x" else "DataType.HALF"


class Silent:
    """A logger's place."""

    logger = None

    memory = ""

    def last(self) -> str:
        return "it said so"

    def of_memory(self) -> str:
        return self.memory


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine(small=Engine(900))
    engines = {b"plan": made, b"small plan": made.small}
    runtime = SimpleNamespace(deserialize_cuda_engine=engines.get)
    trt = SimpleNamespace(__version__="8.6.0", Runtime=lambda logger: runtime)
    monkeypatch.setattr(module, "tensorrt", lambda: trt)
    monkeypatch.setattr(module, "Complaints", Silent)
    monkeypatch.setattr(module, "version", lambda: "tensorrt 8.6.0")
    return made


def loaded(folder: Path, data: bytes = b"plan") -> TensorRTModule:
    file = folder / "engine.plan"
    file.write_bytes(data)
    return TensorRTModule(file, INPUTS, OUTPUTS, max_batch=8, precision="fp16", key="k")


def test_shapes_and_types_are_known_without_running(engine: Engine, tmp_path: Path) -> None:
    found = loaded(tmp_path).infer_shapes({"x": (3, 4)})
    assert found == {"x": ("float32", (3, 4)), "y": ("float16", (3, 2))}
    assert not any(step[0] == "run" for step in engine.contexts[0].told)


def test_an_arena_is_a_whole_number_of_aligned_pieces(engine: Engine, tmp_path: Path) -> None:
    made = loaded(tmp_path)
    assert made.arena_bytes == 768
    made.executor(512)
    assert engine.contexts[-1].device_memory == 512


def test_only_what_changed_is_told_again(engine: Engine, tmp_path: Path) -> None:
    executor = loaded(tmp_path).executor(0)
    stream: Any = SimpleNamespace(handle=77)
    told = engine.contexts[-1].told
    executor.enqueue(stream, {"x": 256, "y": 512}, {"x": (3, 4)})
    assert told == [
        ("profile", 0, 77),
        ("shape", "x", (3, 4)),
        ("address", "x", 256),
        ("address", "y", 512),
        ("run", 77),
    ]
    told.clear()
    executor.enqueue(stream, {"x": 256, "y": 1024}, {"x": (3, 4)})
    assert told == [("address", "y", 1024), ("run", 77)]
    told.clear()
    executor.enqueue(stream, {"x": 256, "y": 1024}, {"x": (5, 4)})
    assert told == [("shape", "x", (5, 4)), ("run", 77)]


@pytest.mark.parametrize("sizes", [(700, 900), (900, 700)], ids=str)
def test_small_batches_have_an_engine_of_their_own_and_the_same_arena(
    engine: Engine, tmp_path: Path, sizes: tuple[int, int]
) -> None:
    assert engine.small is not None
    engine.device_memory_size, engine.small.device_memory_size = sizes
    (tmp_path / "engine.plan").write_bytes(b"plan")
    (tmp_path / "small_engine.plan").write_bytes(b"small plan")
    made = TensorRTModule(
        tmp_path / "engine.plan", INPUTS, OUTPUTS, max_batch=8, precision="fp16", key="k",
        small=(2, tmp_path / "small_engine.plan"),
    )  # fmt: skip
    assert made.arena_bytes == 1024  # what the hungrier of the two works in
    executor = made.executor(512)
    few, many = engine.small.contexts[-1], engine.contexts[-1]
    assert few.device_memory == many.device_memory == 512
    stream: Any = SimpleNamespace(handle=77)
    for rows in (1, 3, 2, 3, 8):
        executor.enqueue(stream, {"x": 256, "y": 512}, {"x": (rows, 4)})
    assert [step[2] for step in few.told if step[0] == "shape"] == [(1, 4), (2, 4)]
    assert [step[2] for step in many.told if step[0] == "shape"] == [(3, 4), (8, 4)]
    assert [len([step for step in each.told if step[0] == "run"]) for each in (few, many)] == [2, 3]
    assert [step for step in few.told if step[0] != "shape"] == [
        ("profile", 0, 77), ("address", "x", 256), ("address", "y", 512), ("run", 77), ("run", 77)
    ]  # fmt: skip
    made.infer_shapes({"x": (3, 4)})  # asks the one that takes all sizes
    assert (len(engine.small.contexts), len(engine.contexts)) == (1, 2)


@pytest.mark.parametrize(
    ("addresses", "shape", "message"),
    [
        ({"x": 256, "y": 512}, (9, 4), r"input 'x' does not take \[9, 4\]: it said so"),
        ({"x": 100, "y": 512}, (3, 4), r"tensor 'x' cannot lie at 0x64: it said so"),
    ],
)
def test_what_is_refused_is_said(
    engine: Engine, tmp_path: Path, addresses: dict[str, int], shape: tuple[int, ...], message: str
) -> None:
    executor = loaded(tmp_path).executor(0)
    with pytest.raises(EngineError, match=message):
        executor.enqueue(SimpleNamespace(handle=1), addresses, {"x": shape})  # type: ignore[arg-type]


def test_a_run_that_is_refused_is_an_error(engine: Engine, tmp_path: Path) -> None:
    executor = loaded(tmp_path).executor(0)
    engine.contexts[-1].runs = False
    with pytest.raises(EngineError, match=r"tensorrt 8\.6\.0 did not run \{'x': \(3, 4\)\}: it said so"):
        executor.enqueue(SimpleNamespace(handle=1), {"x": 256, "y": 512}, {"x": (3, 4)})  # type: ignore[arg-type]


def test_a_plan_of_another_release_or_device_is_refused_with_what_to_do(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"engine\.plan cannot be loaded.*another GPU: run `dvabatch cache clear`"):
        loaded(tmp_path, b"of another")


def test_complaints_keep_the_last_words() -> None:
    complaints = binding.Complaints.__new__(binding.Complaints)
    complaints.said = ["one", "two", "three", "four"]
    assert complaints.last() == "two; three; four"


def test_an_engine_for_which_there_is_no_memory_is_not_blamed_on_another_release(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match=r"cannot be loaded by .*: it said so; it was built by another release or"):
        loaded(tmp_path, b"other")
    monkeypatch.setattr(Silent, "memory", "; the GPU's memory ran out")
    with pytest.raises(EngineError, match=r"cannot be loaded by .*: it said so; the GPU's memory ran out$"):
        loaded(tmp_path, b"other")


@pytest.mark.parametrize(
    ("said", "warned", "last", "of_memory"),
    [
        ([], [], "no reason given", False),
        ([], ["CUDA initialization failure with error: 35"], "CUDA initialization failure with error: 35", False),
        (["a layer has no kernel"], ["lazy loading is off"], "a layer has no kernel", False),
        (["Requested amount of GPU memory (9 bytes) could not be allocated: Out of memory"], [], None, True),
        (["[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (OutOfMemory)"], [], None, True),
    ],
)
def test_memory_that_ran_out_is_told_from_other_complaints(
    said: list[str], warned: list[str], last: str | None, of_memory: bool
) -> None:
    complaints = binding.Complaints.__new__(binding.Complaints)
    complaints.said, complaints.warned = said, warned
    assert complaints.last() == (last or said[0])
    advice = complaints.of_memory()
    assert bool(advice) is of_memory
    assert not of_memory or ("how much is free is not known" in advice and "lower --max-batch or --workspace" in advice)


def test_a_library_that_gives_nothing_is_a_driver_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "version", lambda: "tensorrt 10.7.0")
    complaints = binding.Complaints.__new__(binding.Complaints)
    complaints.said, complaints.warned, complaints.logger = [], ["CUDA initialization failure with error: 35"], None

    def make(logger: object) -> object:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(
        BackendMissingError, match=r"^tensorrt 10\.7\.0 does not start on this GPU: CUDA initial.* 35; "
    ):
        binding.started(make, complaints)
    assert binding.started(lambda logger: "a builder", complaints) == "a builder"
