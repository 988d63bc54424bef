"""Measures a profile: what stages, concurrency, launches, boundaries and copies cost on this machine, as `bench` runs them.

Everything is measured on the engines, threads and driver of a real run. Stage and whole-model times are interleaved, so that
a machine whose clock drifts does not favour one of them, and medians are taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dvabatch.batching.commands import Copy
from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Advance, Operation
from dvabatch.batching.place import Place
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import NS_PER_MS, Profile, StageCurves
from dvabatch.batching.view import View
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.beside import slowdown_of_two
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.loops import round_ns
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.stage_runs import StageRuns
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from engines.base import Array, StageEngine
from engines.cores import own_cores
from engines.errors import EngineError
from engines.priority import going_first

_SHARE_FLOOR = 0.05
_TURNS = 5  # of what is compared with each other
_TURNS_BESIDE = 2  # in each pass
_PASSES = 3  # over all sizes and lanes: a host's speed drifts, and no size is to be measured in a good moment only
_NS_PER_S = 1e9
_Instants: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: `budget_s` for each batch size of the whole model, within these numbers of repetitions."""

    budget_s: float = 1.5
    least: int = 3
    most: int = 25

    def rounds(self, once_s: float, count: int) -> int:
        """How often each of `count` batches comes round where they are to slow each other down."""
        return max(2, min(self.most, math.ceil(self.budget_s / 6 / (once_s * count))))

    def estimate_s(self, once_s: float, limits: Limits) -> float:
        """How long a profile takes where one query alone takes `once_s`, if batches were no better: an upper guess."""
        times = [once_s * size for size in batch_sizes(limits.max_batch)]
        alone = sum(max((2 * self.least + 2) * t, min(self.budget_s, 2 * self.most * t)) for t in times)
        at_once = 0.0
        if limits.executors_per_stage > 1:
            # Everything in a row, as if nothing ran at once; the most that may run at once only at two sizes.
            tried = [(t, 2, _PASSES * _TURNS_BESIDE) for t in times] + [
                (t, limits.executors_per_stage, _TURNS) for t in (times[0], times[len(times) // 2])
            ]
            at_once = sum(turns * (count + 1) * (self.rounds(t, count) + 2) * t for t, count, turns in tried)
        return len(limits.lanes) * alone + at_once + _TURNS * (self.least + 3 * self.most) * once_s


@dataclass(frozen=True, slots=True)
class ProfileRun:
    """A profile, and what it says about slicing: the chained stages' time over the whole model's, by batch size."""

    profile: Profile
    slicing_tax: Mapping[int, float]


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """The sizes to measure: powers of two and the maximum. The slicer has the same for itself: neither may know the other."""
    sizes = [1 << k for k in range(max_batch.bit_length()) if 1 << k <= max_batch]
    return tuple(sizes if sizes[-1] == max_batch else [*sizes, max_batch])


class _Times:
    """What stages and the whole model took, at one size in one lane."""

    def __init__(self, stages: int) -> None:
        self.stages_ns: list[list[int]] = [[] for _ in range(stages)]
        self.whole_ns: list[int] = []

    def stage_ms(self, stage: int) -> float:
        return median(self.stages_ns[stage]) / NS_PER_MS

    @property
    def whole_ms(self) -> float:
        return median(self.whole_ns) / NS_PER_MS


def check_answered(journal: Journal) -> None:
    """What was timed is work that was done.

    Raises:
        EngineError: some queries got no answer.
    """
    failed = sum(outcome != Outcome.COMPLETED for outcome in journal.outcome)
    if failed:
        raise EngineError(
            f"{failed} of {len(journal.outcome)} queries of the profile got no answer: {dict(journal.reasons)}"
        )


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
        self._runs = StageRuns(stages, table, examples)
        self._whole = whole
        self._table = table
        self._limits = limits
        self._cores = own_cores() if all(stage.one_core for stage in stages) else ()
        self._examples = examples
        self._effort = effort or Effort()
        self._progress = progress

    def measure(self) -> ProfileRun:
        """The whole profile."""
        sizes = batch_sizes(self._limits.max_batch)
        times: dict[tuple[int, int], _Times] = {}
        beside: dict[int, list[float]] = {size: [] for size in sizes}
        for turn in range(_PASSES):
            for lane in range(len(self._limits.lanes)):
                for size in sizes:
                    self._progress(
                        f"timing stages and whole, {self._lane_name(lane)}batch {size} ({turn + 1} of {_PASSES})"
                    )
                    self._time_stages(lane, size, times.setdefault((lane, size), _Times(len(self._stages))))
            self._time_beside(times, beside, f"({turn + 1} of {_PASSES})")
        curves, wholes = [], []
        taxes: dict[int, list[float]] = {size: [] for size in sizes}
        for lane in range(len(self._limits.lanes)):
            curves.append(
                [{size: times[lane, size].stage_ms(stage) for size in sizes} for stage in range(len(self._stages))]
            )
            whole_ms = {size: times[lane, size].whole_ms for size in sizes}
            wholes.append(curve(whole_ms))
            for size in sizes:
                taxes[size].append(sum(stage[size] for stage in curves[lane]) / whole_ms[size])
        alone = curve(dict.fromkeys(sizes, 1.0))
        draft = self._profile([[StageCurves(curve(stage), alone) for stage in lane] for lane in curves], wholes)
        shares, slowdown = self._time_concurrency(draft, beside)
        costs = self._time_costs(draft)
        share = curve(shares)
        profile = self._profile(
            [[StageCurves(stage.latency_ms, share) for stage in lane] for lane in draft.curves], wholes, costs, slowdown
        )
        return ProfileRun(profile, {size: sum(tax) / len(tax) for size, tax in taxes.items()})

    def _profile(
        self,
        curves: Sequence[Sequence[StageCurves]],
        wholes: Sequence[Curve],
        costs: Costs | None = None,
        slowdown: Curve | None = None,
    ) -> Profile:
        source = f"measured on {self._stages[0].version}"
        return Profile(self._name, self._limits.lanes, curves, wholes, None, costs, slowdown, source)

    def _lane_name(self, lane: int) -> str:
        length = self._limits.lanes[lane]
        return "" if length is None else f"length {length}, "

    def _time_stages(self, lane: int, size: int, times: _Times) -> None:
        """Adds nanoseconds of each stage and of the whole model, interleaved."""
        place = Place(0, 0, size)
        inputs = {name: rows.copy() for name, rows in self._runs.write_inputs(place, lane).items()}
        outputs = {
            name: rows.copy() for name, rows in self._table.rows(place, lane, self._table.layout.outputs).items()
        }
        if not times.whole_ns:  # not counted: the first run of a shape finds room for it
            self._runs.run_chain(place, lane)
            once_s = self._timed(lambda: self._whole.run(inputs, outputs)) / _NS_PER_S
        else:
            once_s = median(times.whole_ns) / _NS_PER_S
        effort = self._effort
        repeats = max(effort.least, min(effort.most, math.ceil(effort.budget_s / (2 * once_s))))
        for _ in range(math.ceil(repeats / _PASSES)):
            for stage, of_stage in enumerate(times.stages_ns):
                of_stage.append(self._runs.timed_ns(stage, place, lane))
            times.whole_ns.append(self._timed(lambda: self._whole.run(inputs, outputs)))

    @property
    def _most_at_once(self) -> int:
        return min(
            self._limits.executors_per_stage, self._limits.buffer_sets, len(self._cores) or self._limits.buffer_sets
        )

    def _time_beside(
        self, times: Mapping[tuple[int, int], _Times], beside: Mapping[int, list[float]], turn: str
    ) -> None:
        """Adds, for each size, by how much two batches slow each other down, at whatever stages they are.

        In every pass: on a virtual machine it is 1.0 for some seconds and 1.1 for others, as its host has placed the cores.
        """
        if self._most_at_once < 2:
            return
        lane, stages = len(self._limits.lanes) // 2, len(self._stages)
        for size, slowed in beside.items():
            self._progress(f"running two at once, batch {size} {turn}")
            once_s = times[lane, size].whole_ms / 1e3
            rounds = math.ceil(self._effort.rounds(once_s, 2) / stages)
            slowed.append(slowdown_of_two(self._runs, lane, size, rounds, _TURNS_BESIDE, self._cores))

    def _time_concurrency(
        self, draft: Profile, beside: Mapping[int, Sequence[float]]
    ) -> tuple[dict[int, float], Curve | None]:
        """Device shares from running two batches at once, and the slowdown curve from running more.

        Two launches of share u fill 2u of the device and take max(1, 2u) as long; so u is half of the slowdown of two.
        """
        sizes, most = list(beside), self._most_at_once
        if most < 2:
            return dict.fromkeys(sizes, 1.0), None
        shares = {size: min(1.0, max(_SHARE_FLOOR, mean(slowed) / 2)) for size, slowed in beside.items()}
        points: dict[float, list[float]] = {}
        for size in sorted({sizes[0], sizes[len(sizes) // 2]}) if most > 2 else ():
            self._progress(f"running several at once, batch {size}")
            total = round(most * shares[size], 3)
            if total > 1:
                points.setdefault(total, []).append(max(1.0, self._slowed(draft, most, size)))
        if not points:
            return shares, None
        return shares, Curve(((1.0, 1.0), *sorted((total, sum(slow) / len(slow)) for total, slow in points.items())))

    def _slowed(self, draft: Profile, count: int, size: int) -> float:
        """By how much batches slow down of which `count` are always under way. Alone and together take turns."""
        lane = len(self._limits.lanes) // 2
        once_ns = draft.span_ns(0, draft.stages - 1, size, lane)
        rounds = self._effort.rounds(once_ns / _NS_PER_S, count)
        return median(
            self._cycle_ns(draft, count, size, lane, rounds) / self._cycle_ns(draft, 1, size, lane, rounds)
            for _ in range(_TURNS)
        )

    def _cycle_ns(self, draft: Profile, count: int, size: int, lane: int, rounds: int) -> float:
        """How long a batch takes to come round where `count` are always under way, over so many rounds."""
        batches = (rounds + 2) * count  # the first round finds caches cold, and the last ones run beside fewer
        done_ns = self._run(draft, Normal(FillOrWait(size, 0, count)), [0] * (batches * size), lane)[0]
        return round_ns(np.sort(done_ns[::size])[:-count], count)

    def _time_costs(self, draft: Profile) -> Costs:
        """What a launch, a boundary and a copied row cost, through the driver of a real run."""
        self._progress("timing launches, boundaries and copies")
        place = Place(0, 0, 1)
        self._runs.fill(place, 0)
        one_by_one, boundaries = Normal(FillOrWait(1, 0, 1)), max(1, len(self._stages) - 1)
        launch_ns, wake_ns, boundary_ns = [], [], []
        for _ in range(_TURNS):  # what is compared takes turns: a host's speed drifts
            direct_ns = median(self._timed(lambda: self._runs.fill(place, 0)) for _ in range(self._effort.least))
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
            cores=len(self._cores),
        )

    def _through_driver(self, draft: Profile, policy: Policy, direct_ns: float | None) -> float:
        """Median response of lone queries through an idle runtime; without `direct_ns`, median time of each of a queue.

        The pause before each is one after which cores and caches have gone to rest: after a few milliseconds they have not.
        The first ones meet threads that have just been started, once in a run.
        """
        count = max(2, self._effort.least, self._effort.most // 2)
        gap_ns = 0 if direct_ns is None else round(direct_ns * 2.5) + 5 * NS_PER_MS
        done_ns, arrival_ns = self._run(draft, policy, [gap_ns * index for index in range(count)], 0)
        return round_ns(done_ns, 1) if direct_ns is None else float(np.median((done_ns - arrival_ns)[count // 3 :]))

    def _run(
        self, draft: Profile, policy: Policy, arrivals_ns: Sequence[int], lane: int
    ) -> tuple[_Instants, _Instants]:
        """When each of these queries of a lane was answered, and when it arrived, in nanoseconds."""
        length = self._limits.lanes[lane]
        lengths = None if length is None else [length] * len(arrivals_ns)
        journal = Journal(len(arrivals_ns), lengths)
        driver = ThreadedDriver(Machine(self._limits, draft, policy), self._table, JournalObserver(journal))
        example = {name: rows[0] for name, rows in self._examples[lane].items()}
        launcher = Launcher(self._stages, self._table, lambda _: example, {}, driver.post)
        driver.set_anchor(time.perf_counter_ns() + NS_PER_MS)
        with going_first():  # as a measured run does
            driver.run(launcher, PullArrivals(arrivals_ns, lengths))
        launcher.close()
        check_answered(journal)
        return np.asarray(journal.done_ns), np.asarray(journal.arrival_ns)

    def _copy_ns(self) -> int:
        """Nanoseconds per row moved between sets, over the boundaries."""
        if self._limits.buffer_sets < 2:
            return 0
        rows = min(4, self._limits.max_batch)
        for buffer_set in (0, 1):
            self._runs.fill(Place(buffer_set, 0, rows), 0)
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
