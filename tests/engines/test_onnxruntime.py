"""Stages on ONNX Runtime: in place on any rows, from many threads, and clear about what does not fit."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import Array, TensorSpec
from engines.cache import EngineCache
from engines.errors import BackendMissingError, CacheError, EngineError
from engines.onnxruntime import ENGINE_FILE, OnnxRuntimeEngine, OnnxRuntimeOptions, build, engine_key
from tests.engines.tiny import OPTIONS, STAGES, Tiny, images, make_tiny

ROWS = 8
CLOSE = 1e-5


@pytest.fixture(scope="module")
def middle(tiny: Tiny) -> Iterator[OnnxRuntimeEngine]:
    with tiny.stage(1, max_batch=ROWS) as engine:
        yield engine


def inputs_of(engine: OnnxRuntimeEngine, rows: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {spec.name: rng.standard_normal((rows, *row_of(spec))).astype(spec.dtype) for spec in engine.inputs}


def outputs_of(engine: OnnxRuntimeEngine, rows: int, fill: float = np.nan) -> dict[str, Array]:
    return {spec.name: np.full((rows, *row_of(spec)), fill, spec.dtype) for spec in engine.outputs}


def apart(got: Array, right: Array) -> float:
    """The largest difference, of the largest |right|."""
    one, other = got.astype(np.float64), right.astype(np.float64)
    return float(np.abs(one - other).max() / np.abs(other).max())


def row_of(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(int(dim) for dim in spec.shape[1:])


@given(span=st.tuples(st.integers(0, ROWS - 1), st.integers(1, ROWS)).filter(lambda span: sum(span) <= ROWS))
def test_rows_in_place_at_any_offset_equal_infer(middle: OnnxRuntimeEngine, span: tuple[int, int]) -> None:
    first, end = span[0], sum(span)
    inputs, outputs = inputs_of(middle, ROWS), outputs_of(middle, ROWS)
    middle.run(
        {name: rows[first:end] for name, rows in inputs.items()},
        {name: rows[first:end] for name, rows in outputs.items()},
    )
    right = middle.infer(inputs)
    for name, rows in outputs.items():
        assert apart(rows[first:end], right[name][first:end]) <= CLOSE
        assert np.isnan(np.delete(rows, slice(first, end), axis=0)).all()


def test_several_threads_at_once_do_not_meet(middle: OnnxRuntimeEngine) -> None:
    wrong: list[str] = []
    together = threading.Barrier(4)

    def work(seed: int) -> None:
        inputs = inputs_of(middle, 1 + seed, seed)
        right = middle.infer(inputs)
        outputs = outputs_of(middle, 1 + seed)
        together.wait(30)
        for _ in range(20):
            middle.run(inputs, outputs)
            wrong.extend(name for name in outputs if not np.allclose(outputs[name], right[name], atol=1e-4))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def chained(stages: list[OnnxRuntimeEngine], values: dict[str, Array]) -> dict[str, Array]:
    for stage in stages:
        with stage:
            values |= stage.infer({spec.name: values[spec.name] for spec in stage.inputs})
    return values


@pytest.mark.parametrize("stages", [1, STAGES])
def test_the_stages_in_a_row_equal_the_whole_model(tiny: Tiny, tmp_path: Path, stages: int) -> None:
    cut = tiny if stages == STAGES else make_tiny(tmp_path, stages)
    assert len(cut.manifest.stages) == stages
    rows = {"input": images(3)}
    with cut.whole() as whole:
        right = whole.infer(rows)["logits"]
    got = chained(cut.stages(), dict(rows))["logits"]
    assert apart(got, right) <= CLOSE
    assert apart(right[0], right[1]) > 100 * CLOSE  # rows differ, or this proves nothing


def _short_output(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return inputs_of(engine, 2), outputs_of(engine, 1)


def _long_output(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return inputs_of(engine, 2), outputs_of(engine, 3)


def _wrong_row(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return {spec.name: np.zeros((2, 5, 5, 5), np.float32) for spec in engine.inputs}, outputs_of(engine, 2)


def _wrong_type(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return {name: rows.astype(np.float64) for name, rows in inputs_of(engine, 2).items()}, outputs_of(engine, 2)


def _unknown_input(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return {"stranger": np.zeros((2, 3), np.float32)}, outputs_of(engine, 2)


def _no_input(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return {}, outputs_of(engine, 2)


def _every_other_row(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return {name: rows[::2] for name, rows in inputs_of(engine, 4).items()}, outputs_of(engine, 2)


def _too_many(engine: OnnxRuntimeEngine) -> tuple[dict[str, Array], dict[str, Array]]:
    return inputs_of(engine, ROWS + 1), outputs_of(engine, ROWS + 1)


@pytest.mark.parametrize(
    "rows",
    [_short_output, _long_output, _wrong_row, _wrong_type, _unknown_input, _no_input, _every_other_row, _too_many],
)
def test_what_does_not_fit_is_refused(
    middle: OnnxRuntimeEngine, rows: object, capfd: pytest.CaptureFixture[str]
) -> None:
    assert callable(rows)
    inputs, outputs = rows(middle)
    with pytest.raises(EngineError, match=ENGINE_FILE):
        middle.run(inputs, outputs)
    assert capfd.readouterr() == ("", "")  # the error says it, and nothing else does
    middle.run(inputs_of(middle, 2), right := outputs_of(middle, 2))  # and the engine goes on
    assert all(np.isfinite(values).all() for values in right.values())


def test_infer_refuses_too(middle: OnnxRuntimeEngine) -> None:
    with pytest.raises(EngineError):
        middle.infer({spec.name: np.zeros((2, 5, 5, 5), np.float32) for spec in middle.inputs})


def test_it_must_be_open(tiny: Tiny) -> None:
    engine = tiny.stage(0)
    for _ in range(2):
        with pytest.raises(EngineError, match="not open"):
            engine.infer({"input": images(1)})
        with engine:
            engine.infer({"input": images(1)})


def test_a_missing_or_truncated_file_is_named(tiny: Tiny, tmp_path: Path) -> None:
    spec = tiny.manifest.stages[0]
    file = tmp_path / "stage.onnx"
    engine = OnnxRuntimeEngine(file, spec.inputs, spec.outputs, max_batch=4, key="k", options=OPTIONS)
    with pytest.raises(EngineError, match=r"stage\.onnx does not exist"):
        engine.__enter__()
    file.write_bytes((tiny.folder / spec.file).read_bytes()[:1000])
    with pytest.raises(EngineError, match=r"stage\.onnx cannot be opened"):
        engine.__enter__()
    cache = EngineCache(tmp_path / "cache")
    with pytest.raises(EngineError, match=r"stage\.onnx cannot be opened") as refused:
        build(file, "0" * 64, OPTIONS, cache, label="truncated")
    assert not isinstance(refused.value, CacheError)
    assert cache.entries() == []


def test_building_is_a_miss_then_a_hit(tiny: Tiny, tmp_path: Path) -> None:
    cache, spec = EngineCache(tmp_path), tiny.manifest.stages[0]
    first, second = (build(tiny.folder / spec.file, spec.sha256, OPTIONS, cache, label="s") for _ in range(2))
    assert (first.hit, second.hit, first.key) == (False, True, second.key)
    assert second.meta["stage_sha256"] == spec.sha256


def test_a_full_disk_is_the_caches_error(tiny: Tiny, tmp_path: Path) -> None:
    cache, spec = EngineCache(tmp_path), tiny.manifest.stages[-1]
    assert (tiny.folder / spec.file).stat().st_size > 100_000
    with _files_up_to(50_000), pytest.raises(CacheError, match="File too large; free space"):
        build(tiny.folder / spec.file, spec.sha256, OPTIONS, cache, label="s")
    assert cache.entries() == []
    assert not build(tiny.folder / spec.file, spec.sha256, OPTIONS, cache, label="s").hit


@contextmanager
def _files_up_to(size: int) -> Iterator[None]:
    """A disk that takes no file larger than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_key_names_the_stage_and_the_provider() -> None:
    keys = {
        engine_key("a" * 64, OPTIONS),
        engine_key("b" * 64, OPTIONS),
        engine_key("a" * 64, OnnxRuntimeOptions(provider="cuda")),
    }
    assert len(keys) == 3
    assert engine_key("a" * 64, OnnxRuntimeOptions(threads=1)) == engine_key("a" * 64, OnnxRuntimeOptions(threads=2))


def test_a_provider_that_is_not_there_says_what_to_install(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    spec = tiny.manifest.stages[0]
    with pytest.raises(BackendMissingError, match="install the package onnxruntime-gpu"):
        build(tiny.folder / spec.file, spec.sha256, OnnxRuntimeOptions(provider="cuda"), tiny.cache, label="s")


@pytest.mark.parametrize("options", [{"threads": -1}, {"provider": "abacus"}])
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        OnnxRuntimeOptions(**options)  # type: ignore[arg-type]
