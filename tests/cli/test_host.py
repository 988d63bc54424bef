"""Facts of a host, read from a /proc and a /sys that a test wrote, and from none at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dvabatch_cli.environment import environment
from dvabatch_cli.host import CpuTimes, cpu_quota_cores, cpu_times, host_facts, memory_bytes, usable_cores
from engines import priority


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
        (  # the tightest of a group and those above it
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/cpu.max": "max 100000\n",
            },
            0.5,
        ),
        (  # inside a container: the path is the host's, what is mounted is the container's own
            {"proc/self/cgroup": "0::/docker/1234\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"},
            2.0,
        ),
        ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        (  # version 1
            {
                "proc/self/cgroup": "3:memory:/x\n2:cpu,cpuacct:/job\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "what is this\n"}, None),
        ({"proc/self/cgroup": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_quota_is_the_tightest_of_all_groups_above(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    assert cpu_quota_cores(write(tmp_path, files)) == cores


def test_what_is_stolen_is_a_share_of_the_time_that_passed(tmp_path: Path) -> None:
    before = cpu_times(write(tmp_path, {"proc/stat": "cpu  10 0 10 70 5 0 0 5 3 0\ncpu0 1 1\n"}))
    assert before == CpuTimes(total=100, steal=5)
    after = cpu_times(write(tmp_path, {"proc/stat": "cpu  100 0 100 70 5 0 0 25 3 0\n"}))
    assert after is not None
    assert after.steal_share_since(before) == 0.1
    assert before.steal_share_since(before) is None


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n", "cpu a b c d e f g h\n"])
def test_a_kernel_that_does_not_say_is_no_error(tmp_path: Path, text: str) -> None:
    assert cpu_times(write(tmp_path, {"proc/stat": text})) is None


def test_the_facts_are_read_where_linux_keeps_them(tmp_path: Path) -> None:
    governor = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
    files = {
        "proc/self/timerslack_ns": "50000\n",
        "sys/devices/system/node/node0/cpulist": "0\n",
        "sys/devices/system/node/node1/cpulist": "1\n",
        governor.format(0): "powersave\n",
        governor.format(1): "performance\n",
    }
    facts = host_facts(write(tmp_path, files))
    assert (facts["timer_slack_ns"], facts["numa_nodes"]) == (50_000, 2)
    assert facts["frequency_governor"] == "performance, powersave"


def test_another_system_has_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("dvabatch_cli.host", "engines.priority"):
        monkeypatch.setattr(f"{module}.sys.platform", "darwin")
    assert set(host_facts(tmp_path).values()) == {None}
    assert cpu_times(tmp_path) is None
    monkeypatch.delattr("os.sched_getaffinity")
    assert usable_cores() >= 1
    monkeypatch.delattr("os.sysconf")
    assert memory_bytes() is None
    assert environment()["memory_bytes"] is None


@pytest.mark.parametrize("permitted", [True, False])
def test_priority_is_what_the_system_says_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, permitted: bool
) -> None:
    def asked(pid: int, policy: int, param: object) -> None:
        if not permitted:
            raise PermissionError

    monkeypatch.setattr(priority.os, "sched_setscheduler", asked)
    assert host_facts(tmp_path)["real_time_priority"] is permitted


def test_what_was_measured_comes_from_the_caller() -> None:
    assert (environment()["steal_share"], environment()["pacing"]) == (None, None)
    facts = environment(steal_share=0.25, pacing={"admission": "pull"})
    assert (facts["steal_share"], facts["pacing"]) == (0.25, {"admission": "pull"})


def test_what_runs_write_does_not_make_a_checkout_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    write(tmp_path, {"code.py": "", "results/a/report.json": "{}"})
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    monkeypatch.setattr("dvabatch_cli.environment.__file__", str(tmp_path / "dvabatch_cli" / "environment.py"))
    (tmp_path / "results/a/report.json").unlink()
    write(tmp_path, {"results/b/report.json": "{}"})
    assert environment()["dirty"] is False
    write(tmp_path, {"more.py": ""})
    assert environment()["dirty"] is True
