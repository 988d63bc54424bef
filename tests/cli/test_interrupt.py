"""Ctrl-C, in a process of its own: the first keeps what is measured, the second ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import LOAD, NORMAL, TABLE, dvabatch, ended_well, report_of, table_config

WAIT_S = 60
# At batch 1 a stage is quick; of two or more it hangs for minutes.
HANGING = {"stages": [{"latency_ms": {"1": 0.1, "2": 600_000}}] * 2}


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """`dvabatch` as leader of a process group, as a shell starts it."""
    command = [sys.executable, "-m", "dvabatch_cli", *map(str, words)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as p:
        try:
            yield p
        finally:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen[str], said: str, times: int = 1) -> str:
    assert process.stderr is not None
    text = ""
    for line in process.stderr:
        text += line
        times -= said in line
        if not times:
            return text
    raise AssertionError(f"{said!r} was never said: {text}")


def ctrl_c(process: subprocess.Popen[str]) -> None:
    """As a terminal does: to everyone in the group."""
    os.killpg(process.pid, signal.SIGINT)


def test_the_first_keeps_the_finished_points_and_resume_completes(tmp_path: Path) -> None:
    # The second rate's points take seconds, which a signal interrupts and a resumed run simulates.
    load = {"process": "constant", "request_rate": [1000, 30], "num_requests": 40}
    config = table_config(tmp_path, policies=[NORMAL, LOAD], load=load)
    out = tmp_path / "out"
    with running("bench", config, "-o", out) as process:
        said = read_until(process, "[2/4]")
        ctrl_c(process)
        printed, rest = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "Traceback" not in printed + said + rest
    assert "interrupted: 2 points are kept; go on with --resume" in rest
    kept = report_of(out)["runs"]
    assert [run["load"]["request_rate_rps"] for run in kept] == [1000, 1000]
    done = dvabatch("bench", config, "-o", out, "--resume")
    report = report_of(out)
    assert ended_well(done, report), done.err
    assert done.err.count("kept from before") == 2
    assert report["runs"][:2] == kept
    assert len(report["runs"]) == 4


def test_the_second_ends_at_once(tmp_path: Path) -> None:
    load = {"process": "constant", "request_rate": [5, 50_000], "num_requests": 3}
    config = table_config(tmp_path, table=HANGING, policies=[NORMAL], load=load, engine={
        "backend": "table", "table": "table.json", "max_batch": 2, "executors_per_stage": 1, "buffer_set_size": 1,
    })  # fmt: skip
    with running("bench", config, "-o", tmp_path / "out") as process:
        read_until(process, "[1/2]")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)  # the second point has begun, and does not come to an end
        ctrl_c(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)  # it waits for the stage that hangs
        ctrl_c(process)
        assert process.wait(5) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    done = dvabatch("bench", config, "-o", tmp_path / "out", "--resume", "--dry-run")
    assert done.code == 0
    assert len(list((tmp_path / "out" / "points").glob("*.queries.jsonl"))) == 1


@pytest.mark.parametrize("rounds", [1, 2])
def test_in_the_middle_of_a_sweep(tmp_path: Path, rounds: int) -> None:
    """The sweep's processes get it too, and say nothing of it."""
    config = table_config(tmp_path, policies=[LOAD], baselines=["swept"], table=TABLE)
    with running("simulate", config, "-o", tmp_path / "out") as process:
        before = read_until(process, "sweeping", rounds)
        time.sleep(0.7 if rounds == 1 else 0)  # its processes are starting, or at work
        ctrl_c(process)
        printed, rest = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "Traceback" not in printed + before + rest
    assert report_of(tmp_path / "out")["runs"] == []
