"""Facts of a host that decide how punctual it is: processor time that it may use, timers, priorities, memory nodes.

All are read from where Linux keeps them. What cannot be learnt, there or on another system, is None.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engines.priority import going_first

_ROOT = Path("/")
_LARGEST_BYTES = 1 << 16  # these files have a few lines


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Processor time since boot, of all cores, in the kernel's ticks; `steal` is what the hypervisor gave to others."""

    total: int
    steal: int

    def steal_share_since(self, before: CpuTimes) -> float | None:
        """The share that was stolen in between; None if no tick has passed."""
        passed = self.total - before.total
        return round((self.steal - before.steal) / passed, 6) if passed > 0 else None


def host_facts(root: Path = _ROOT) -> dict[str, Any]:
    """What a report's environment says of the host; `root` is where its /proc and /sys lie."""
    return {
        "cpu_quota_cores": cpu_quota_cores(root),
        "timer_slack_ns": _integer(root / "proc/self/timerslack_ns"),
        "real_time_priority": real_time_priority(),
        "numa_nodes": len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None,
        "frequency_governor": _governors(root),
    }


def usable_cores() -> int:
    """Cores that this process may run on."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(0))


def memory_bytes() -> int | None:
    """Memory of the host."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def real_time_priority() -> bool | None:
    """Whether a thread may go first (root, CAP_SYS_NICE or RLIMIT_RTPRIO): by trying, which no limit can deceive."""
    if sys.platform != "linux":
        return None
    with going_first() as permitted:
        return permitted


def cpu_times(root: Path = _ROOT) -> CpuTimes | None:
    """The first line of /proc/stat."""
    words = _text(root / "proc/stat").partition("\n")[0].split()
    # user nice system idle iowait irq softirq steal; the guests' times that follow are part of user and nice already
    if len(words) < 9 or words[0] != "cpu" or not all(word.isdecimal() for word in words[1:9]):
        return None
    times = [int(word) for word in words[1:9]]
    return CpuTimes(sum(times), times[7])


def cpu_quota_cores(root: Path = _ROOT) -> float | None:
    """How many cores' time control groups grant to this process: the least over its group and those above it.

    None: no limit, or none that can be read. A process may use more cores than that at once, and is then stopped for the
    rest of the period, some tens of milliseconds.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's group for processor time and of all groups above it, in both versions' hierarchies."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            bases = [mount, mount / "unified"]
        elif "cpu" in controllers.split(","):
            bases = [mount / controllers, mount / "cpu"]
        else:
            continue
        # Seen from inside a container, the path may be the host's, of which only the container's own root is mounted.
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
        for base in bases:
            for depth in range(len(parts) + 1):
                yield base.joinpath(*parts[:depth])


def _quota(folder: Path) -> float | None:
    """Cores granted to one group."""
    words = _text(folder / "cpu.max").split()  # version 2: "max 100000" or "50000 100000"
    if not words:
        words = [
            _text(folder / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        ]  # version 1: -1 is none
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _governors(root: Path) -> str | None:
    """What sets the cores' clocks; several where cores differ."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return ", ".join(sorted({text for file in files if (text := _text(file).strip())})) or None


def _integer(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    """What a file says; nothing where it is not there or may not be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
