"""TensorRT on a real GPU: skipped, and said so, where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.cache import EngineCache
from engines.cuda import CudaDevice, _graphs_of_bindings
from engines.errors import EngineError
from tests.cli.command import dvabatch
from tests.device.tiny import POLICIES, POLICIES_OF_LENGTHS, WHY, tiny_bert_config, tiny_config

pytestmark = pytest.mark.skipif(bool(WHY), reason=f"no GPU to test on: {WHY}")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVABATCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize(
    ("precision", "graphs", "small", "tolerance"),
    [("fp32", True, 0, 1e-3), ("fp32", False, 2, 1e-3), ("fp16", True, 2, 2e-2)],
)
def test_answers_of_every_policy_are_those_of_the_cpu(
    tmp_path: Path, precision: str, graphs: bool, small: int, tolerance: float
) -> None:
    made = tiny_config(tmp_path, precision=precision, cuda_graphs=graphs, small_batch=small)
    done = dvabatch("bench", made, "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["engine"]["backend"] == "tensorrt", done.err
    assert {run["policy"]["scheduler_type"] for run in report["runs"]} >= {
        policy["scheduler_type"] for policy in POLICIES
    }
    assert report["correctness"]["checked"] == len(report["runs"]) * 200
    assert report["correctness"]["max_rel_error"] <= tolerance
    assert all(bool(run["graphs"]["hits"]) == graphs for run in report["runs"])


@pytest.mark.parametrize(("precision", "small", "tolerance"), [("fp32", 0, 1e-3), ("fp16", 2, 2e-2)])
def test_answers_to_queries_of_every_length_are_those_of_the_cpu(
    tmp_path: Path, precision: str, small: int, tolerance: float
) -> None:
    made = tiny_bert_config(tmp_path, precision=precision, small_batch=small)
    done = dvabatch("bench", made, "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["engine"]["backend"] == "tensorrt", done.err
    assert {run["policy"]["scheduler_type"] for run in report["runs"]} == {
        policy["scheduler_type"] for policy in POLICIES_OF_LENGTHS
    }
    assert report["correctness"]["checked"] == len(report["runs"]) * 200
    assert report["correctness"]["max_rel_error"] <= tolerance


def test_a_stage_that_fails_fails_its_own_queries_and_no_answer_is_wrong(tmp_path: Path) -> None:
    made = tiny_config(tmp_path, faults=[{"kind": "fail", "stage": 1, "rate": 0.1}])
    done = dvabatch("bench", made, "--set", "checks.error_limit=0.9", "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["engine"]["backend"] == "tensorrt", done.err
    assert report["profile"]["sm_mhz"], done.err
    for run in report["runs"]:
        counts = run["counts"]
        assert counts["failed"] > 0 < counts["completed"]
        assert counts["failed"] + counts["completed"] == counts["offered"]
        assert run["faults"]["injected"]["fail"] > 0
        assert run["correctness"]["passed"]
        assert run["queueing_us"]["heard"] > 0


def test_a_second_build_is_found_in_the_cache(tmp_path: Path) -> None:
    model, stages = tmp_path / "tiny.onnx", tmp_path / "tiny.stages"
    assert dvabatch("model", "tiny_resnet", "-o", model).code == 0
    assert dvabatch("slice", model, "--stages", "2", "-o", stages).code == 0
    words = (
        "build",
        stages,
        "--backend",
        "tensorrt",
        "--max-batch",
        "4",
        "--builder-optimization-level",
        "0",
        "--json",
    )
    first, second = (json.loads(dvabatch(*words).out) for _ in range(2))
    assert {engine["cache"] for engine in first.values()} == {"miss"}
    assert {engine["cache"] for engine in second.values()} == {"hit"}
    assert len(EngineCache().entries()) >= len(first)


def test_memory_that_is_not_there_is_refused_with_its_numbers() -> None:
    with CudaDevice() as device, pytest.raises(EngineError, match=r"10 buffers need \d+ MB .* are free: lower"):
        device.allocate(device.memory().total_bytes * 2, "10 buffers")


def test_a_context_is_left_behind_by_nobody() -> None:
    def current() -> int:
        status, context = _graphs_of_bindings().cuCtxGetCurrent()
        assert int(status) == 0
        return int(context)

    with CudaDevice():
        pass  # initialises CUDA, without which nobody knows what is current
    before = current()  # TensorRT's runtime may have made one current, in a test before
    for _ in range(3):
        with CudaDevice() as device:
            assert current() != 0
            stream = device.stream()
            address = device.allocate(1024, "a kilobyte")
            host = device.pinned(1024)
            host[:] = 7
            stream.upload(address, host)
            stream.download(host, address)
            stream.synchronize()
            assert (host == 7).all()
        assert current() == before
