"""Measures a profile: what stages, concurrency, launches, boundaries and copies cost on this machine, as `bench` runs them.

Everything is measured on the engines, threads and driver of a real run. Stage and whole-model times are interleaved, so that
a machine whose clock drifts does not favour one of them, and medians are taken.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from dvabatch.batching.commands import Copy
from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Advance, Operation
from dvabatch.batching.place import Place
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import NS_PER_MS, Costs, Profile, StageCurves
from dvabatch.batching.view import View
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from engines.base import Array, StageEngine
from engines.priority import going_first

_SHARE_FLOOR = 0.05
_TURNS = 5  # of what is compared with each other


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: `budget_s` for each batch size of the whole model, within these numbers of repetitions."""

    budget_s: float = 1.5
    least: int = 3
    most: int = 25

    def estimate_s(self, once_s: float, limits: Limits) -> float:
        """How long a profile takes where one query alone takes `once_s`, if batches were no better: an upper guess."""
        times = [once_s * size for size in batch_sizes(limits.max_batch)]
        alone = sum(max(2 * self.least * t, min(self.budget_s, 2 * self.most * t)) for t in times)
        at_once = (
            sum(max(6 * _TURNS * t, _TURNS * self.budget_s / 2) for t in times) if limits.executors_per_stage > 1 else 0
        )
        return len(limits.lanes) * alone + at_once + _TURNS * (self.least + 2 * self.most) * once_s


@dataclass(frozen=True, slots=True)
class ProfileRun:
    """A profile, and what it says about slicing: the chained stages' time over the whole model's, by batch size."""

    profile: Profile
    slicing_tax: Mapping[int, float]


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """The sizes to measure: powers of two and the maximum. The slicer has the same for itself: neither may know the other."""
    sizes = [1 << k for k in range(max_batch.bit_length()) if 1 << k <= max_batch]
    return tuple(sizes if sizes[-1] == max_batch else [*sizes, max_batch])


class Profiler:
    """Measures open stages, and the open whole model beside them."""

    def __init__(
        self,
        name: str,
        stages: Sequence[StageEngine],
        whole: StageEngine,
        table: TensorTable,
        limits: Limits,
        examples: Sequence[Mapping[str, Array]],
        *,
        effort: Effort | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`examples[lane]` is an input batch of 1, as long as its lane; the table needs a buffer set for each executor."""
        self._name = name
        self._stages = stages
        self._whole = whole
        self._table = table
        self._limits = limits
        self._examples = examples
        self._effort = effort or Effort()
        self._progress = progress

    def measure(self) -> ProfileRun:
        """The whole profile."""
        sizes = batch_sizes(self._limits.max_batch)
        curves, wholes = [], []
        chains: list[dict[int, float]] = []
        taxes: dict[int, list[float]] = {size: [] for size in sizes}
        for lane in range(len(self._limits.lanes)):
            stage_ms: list[dict[int, float]] = [{} for _ in self._stages]
            whole_ms, chain_ms = {}, {}
            for size in sizes:
                self._progress(f"timing stages and whole, {self._lane_name(lane)}batch {size}")
                times, whole_ms[size] = self._time_stages(lane, size)
                for stage, stage_time in enumerate(times):
                    stage_ms[stage][size] = stage_time
                chain_ms[size] = sum(times)
                taxes[size].append(chain_ms[size] / whole_ms[size])
            curves.append(stage_ms)
            wholes.append(curve(whole_ms))
            chains.append(chain_ms)
        shares, slowdown = self._time_concurrency(sizes, chains[0])
        share_curve = curve(shares)
        draft = Profile(
            self._name,
            self._limits.lanes,
            [[StageCurves(curve(by_size), share_curve) for by_size in lane] for lane in curves],
            wholes,
        )
        costs = self._time_costs(draft)
        profile = Profile(
            self._name,
            draft.lanes,
            draft.curves,
            wholes,
            None,
            costs,
            slowdown,
            f"measured on {self._stages[0].version}",
        )
        return ProfileRun(profile, {size: sum(tax) / len(tax) for size, tax in taxes.items()})

    def _lane_name(self, lane: int) -> str:
        length = self._limits.lanes[lane]
        return "" if length is None else f"length {length}, "

    def _fill(self, place: Place, lane: int) -> None:
        """Real rows everywhere: the example, run through all stages."""
        for name, rows in self._table.rows(place, lane, self._table.layout.inputs).items():
            rows[...] = self._examples[lane][name]
        self._run_chain(place, lane)

    def _run_chain(self, place: Place, lane: int) -> None:
        for stage in range(len(self._stages)):
            self._run_stage(stage, place, lane)

    def _run_stage(self, stage: int, place: Place, lane: int) -> None:
        layout = self._table.layout
        inputs = self._table.rows(place, lane, layout.reads[stage])
        self._stages[stage].run(inputs, self._table.rows(place, lane, layout.writes[stage]))

    def _time_stages(self, lane: int, size: int) -> tuple[list[float], float]:
        """Milliseconds of each stage and of the whole model, interleaved."""
        place = Place(0, 0, size)
        self._fill(place, lane)
        layout = self._table.layout
        inputs = {name: rows.copy() for name, rows in self._table.rows(place, lane, layout.inputs).items()}
        outputs = {name: rows.copy() for name, rows in self._table.rows(place, lane, layout.outputs).items()}
        began_s = time.perf_counter()
        self._whole.run(inputs, outputs)
        once_s = time.perf_counter() - began_s
        repeats = max(self._effort.least, min(self._effort.most, math.ceil(self._effort.budget_s / (2 * once_s))))
        stage_ns: list[list[int]] = [[] for _ in self._stages]
        whole_ns = []
        for _ in range(repeats):
            for stage, times in enumerate(stage_ns):
                began_ns = time.perf_counter_ns()
                self._run_stage(stage, place, lane)
                times.append(time.perf_counter_ns() - began_ns)
            began_ns = time.perf_counter_ns()
            self._whole.run(inputs, outputs)
            whole_ns.append(time.perf_counter_ns() - began_ns)
        return [median(times) / NS_PER_MS for times in stage_ns], median(whole_ns) / NS_PER_MS

    def _time_concurrency(
        self, sizes: Sequence[int], chain_ms: Mapping[int, float]
    ) -> tuple[dict[int, float], Curve | None]:
        """Device shares from running two chains at once, and the slowdown curve from running more.

        Two launches of share u fill 2u of the device and take max(1, 2u) as long; so u is half of the slowdown of two.
        """
        most = min(self._limits.executors_per_stage, self._limits.buffer_sets)
        if most < 2:
            return dict.fromkeys(sizes, 1.0), None
        shares: dict[int, float] = {}
        points: dict[float, list[float]] = {}
        for size in sizes:
            self._progress(f"running several at once, batch {size}")
            shares[size] = min(1.0, max(_SHARE_FLOOR, self._slowed(2, size, chain_ms[size]) / 2))
            if most > 2 and size in {sizes[0], sizes[len(sizes) // 2]}:
                total = round(most * shares[size], 3)
                if total > 1:
                    points.setdefault(total, []).append(max(1.0, self._slowed(most, size, chain_ms[size])))
        if not points:
            return shares, None
        return shares, Curve(((1.0, 1.0), *sorted((total, sum(slow) / len(slow)) for total, slow in points.items())))

    def _slowed(self, count: int, size: int, chain_ms: float) -> float:
        """By how much chains slow down when `count` run at once. Alone and together take turns: a host's speed drifts."""
        return median(
            self._chains_at_once(count, size, chain_ms) / self._chains_at_once(1, size, chain_ms) for _ in range(_TURNS)
        )

    def _chains_at_once(self, count: int, size: int, chain_ms: float) -> float:
        """Mean milliseconds of a chain while `count` of them run without pause, each in a buffer set of its own.

        Each begins with another stage: batches of a real run are rarely at the same one, where they would find its weights in
        the processor's cache.
        """
        rounds = max(2, min(self._effort.most, math.ceil(self._effort.budget_s * 1000 / 6 / (chain_ms * count))))
        gate = threading.Barrier(count)
        took_ms: list[float] = []
        errors: list[Exception] = []

        def work(buffer_set: int) -> None:
            place = Place(buffer_set, 0, size)
            first = buffer_set * len(self._stages) // count
            try:
                self._fill(place, 0)
                gate.wait()
                began_ns = time.perf_counter_ns()
                for _ in range(rounds):
                    for stage in (*range(first, len(self._stages)), *range(first)):
                        self._run_stage(stage, place, 0)
                took_ms.append((time.perf_counter_ns() - began_ns) / NS_PER_MS / rounds)
            except Exception as error:  # noqa: BLE001 -- raised below, where the profile is asked for
                errors.append(error)
                gate.abort()  # nobody waits for a thread that will not come

        threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return sum(took_ms) / len(took_ms)

    def _time_costs(self, draft: Profile) -> Costs:
        """What a launch, a boundary and a copied row cost, through the driver of a real run."""
        self._progress("timing launches, boundaries and copies")
        place = Place(0, 0, 1)
        self._fill(place, 0)
        one_by_one, boundaries = Normal(FillOrWait(1, 0, 1)), max(1, len(self._stages) - 1)
        launch_ns, wake_ns, boundary_ns = [], [], []
        for _ in range(_TURNS):  # what is compared takes turns: a host's speed drifts
            direct_ns = median(self._timed(lambda: self._fill(place, 0)) for _ in range(self._effort.least))
            busy_ns = self._through_driver(draft, one_by_one, None)
            lone_ns = self._through_driver(draft, one_by_one, direct_ns)
            steps_ns = self._through_driver(draft, OneByOne(), direct_ns)
            launch_ns.append(busy_ns - direct_ns)
            wake_ns.append(lone_ns - busy_ns)
            boundary_ns.append((steps_ns - lone_ns) / boundaries)
        return Costs(
            launch_ns=max(0, round(median(launch_ns))),
            boundary_ns=max(0, round(median(boundary_ns))),
            copy_ns_per_row=self._copy_ns(),
            wake_ns=max(0, round(median(wake_ns))),
        )

    def _through_driver(self, draft: Profile, policy: Policy, direct_ns: float | None) -> float:
        """Median response of lone queries through an idle runtime; without `direct_ns`, median time of each of a queue."""
        count = max(self._effort.least, self._effort.most // 2)
        gap_ns = 0 if direct_ns is None else round(direct_ns * 1.5) + 2 * NS_PER_MS
        machine = Machine(self._limits, draft, policy)
        journal = Journal(count)
        driver = ThreadedDriver(machine, self._table, JournalObserver(journal))
        example = {name: rows[0] for name, rows in self._examples[0].items()}
        launcher = Launcher(self._stages, self._table, lambda _: example, {}, driver.post)
        driver.set_anchor(time.perf_counter_ns() + NS_PER_MS)
        length = self._limits.lanes[0]
        lengths = None if length is None else [length] * count
        with going_first():  # as a measured run does
            driver.run(launcher, PullArrivals([gap_ns * index for index in range(count)], lengths))
        launcher.close()
        if direct_ns is None:
            return float(median(np.diff(np.sort(np.asarray(journal.done_ns)))))
        return float(median(np.asarray(journal.done_ns) - np.asarray(journal.arrival_ns)))

    def _copy_ns(self) -> int:
        """Nanoseconds per row moved between sets, over the boundaries."""
        if self._limits.buffer_sets < 2:
            return 0
        rows = min(4, self._limits.max_batch)
        for buffer_set in (0, 1):
            self._fill(Place(buffer_set, 0, rows), 0)
        times = [
            median(
                self._timed(lambda stage=stage: self._table.copy(Copy(Place(0, 0, rows), Place(1, 0, rows), stage, 0)))  # type: ignore[misc]
                for _ in range(self._effort.most)
            )
            for stage in range(1, len(self._stages))
        ]
        return round(sum(times) / len(times) / rows) if times else 0

    @staticmethod
    def _timed(action: Callable[[], object]) -> int:
        began_ns = time.perf_counter_ns()
        action()
        return time.perf_counter_ns() - began_ns


class OneByOne:
    """Enters at once and stops at every boundary: what a boundary costs is the difference to going straight through."""

    digest = "one by one"

    def __init__(self) -> None:
        self._entry = FillOrWait(1, 0, 1)

    def plan(self, view: View) -> Iterator[Operation]:
        for batch in view.ready:
            yield Advance(batch.id, batch.stage)
        batch_id, operation = view.next_batch_id, self._entry.plan(view)
        if operation is not None:
            yield operation
            yield Advance(batch_id, 0)


def curve(by_size: Mapping[int, float]) -> Curve:
    """Measured figures by batch size."""
    return Curve(tuple((float(size), round(value, 6)) for size, value in sorted(by_size.items())))
