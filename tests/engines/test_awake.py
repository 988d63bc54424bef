"""Cores that are kept awake, and left alone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engines.awake import kept_awake
from engines.cores import own_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no idle priority but Linux's")


def children() -> set[int]:
    """Processes that this one started and that run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(folder.name))
    return found


def test_each_core_has_a_process_of_the_lowest_priority_until_the_block_ends() -> None:
    before = children()
    with kept_awake() as all_are:
        loops = children() - before
        assert all_are
        assert sorted(core for loop in loops for core in os.sched_getaffinity(loop)) == list(own_cores())
        assert {os.sched_getscheduler(loop) for loop in loops} == {os.SCHED_IDLE}
    assert children() == before


def test_they_end_with_a_parent_that_is_killed() -> None:
    block = "with kept_awake():\n    print(1, flush=True)\n    time.sleep(600)"
    script = f"import time\nfrom engines.awake import kept_awake\n{block}"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    own = {int(line) for line in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()}
    assert len(own) == len(own_cores())
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{loop}").exists() for loop in own) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{loop}").exists() for loop in own)


def test_a_system_without_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.awake.own_cores", lambda: ())
    with kept_awake() as all_are:
        assert not all_are
    monkeypatch.setattr("engines.awake._LOOP", "raise SystemExit(1)")
    monkeypatch.setattr("engines.awake.own_cores", lambda: (0,))
    with kept_awake() as all_are:
        assert not all_are
