"""Compute Sanitizer over a short run: no access out of bounds, no race in shared memory. Skipped, and said so, without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.command import dvabatch
from tests.device.tiny import WHY, tiny_config

_BESIDE_PYTHON = "cuda_sanitizer_api/bin/compute-sanitizer"  # in the wheel nvidia-cuda-sanitizer-api
# Libraries ask the driver for calls that it may not have, and go on without: no fault of anybody's memory.
_OPTIONS = ("--report-api-errors", "no")
_FAULTY = 86  # exit code of a run in which it found something
_WAIT_S = 400


def sanitizer() -> str | None:
    found = shutil.which("compute-sanitizer")
    package = find_spec("nvidia")
    for folder in [] if package is None else package.submodule_search_locations or []:
        if (file := Path(folder) / _BESIDE_PYTHON).is_file():
            found = found or str(file)
    return found


pytestmark = [
    pytest.mark.skipif(bool(WHY), reason=f"no GPU to test on: {WHY}"),
    pytest.mark.skipif(
        sanitizer() is None, reason="compute-sanitizer is not here: pip install nvidia-cuda-sanitizer-api"
    ),
]


@pytest.mark.parametrize(
    ("tool", "clean", "most", "queries"),
    [("memcheck", "ERROR SUMMARY: 0 errors", 4, 40), ("racecheck", "(0 errors, 0 warnings)", 2, 12)],
)
def test_a_short_run_is_clean(tmp_path: Path, tool: str, clean: str, most: int, queries: int) -> None:
    # Every kernel takes hundreds of times as long under it: few rows and sets, so that few graphs are captured.
    config = tiny_config(tmp_path, precision="fp16", max_batch=most, buffer_set_size=2, executors_per_stage=2)
    policies = [
        {"scheduler_type": "NORMAL", "instances": 2},
        {
            "scheduler_type": "HYBRID_DVA",
            "max_batch_size": most // 2,
            "max_allow_merge_batchsize": most,
            "favor_per_stage": [1, most, 1],
        },
    ]
    few = (
        "--set", f"policies={json.dumps(policies)}", "--set", f"load.num_requests={queries}",
        "--set", "load.warmup_requests=0", "--set", f"checks.sample={queries}",
    )  # fmt: skip
    assert dvabatch("bench", config, *few, "-o", tmp_path / "plain").code in (0, 4)  # engines and profile are kept
    program = str(sanitizer())
    done = subprocess.run(
        [
            program, "--tool", tool, *_OPTIONS, "--error-exitcode", str(_FAULTY),
            sys.executable, "-m", "dvabatch_cli", "bench", str(config), *few, "-o", str(tmp_path / "out"),
        ],
        capture_output=True, encoding="utf-8", errors="replace", timeout=_WAIT_S, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert clean in said, said[-4000:]
    assert done.returncode in (0, 4), said[-4000:]  # so slow that the sender may be late
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["correctness"]["checked"] == len(report["runs"]) * queries
    assert report["correctness"]["max_rel_error"] <= 2e-2
