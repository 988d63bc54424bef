"""Measures a profile on a device: stages and the whole model as graphs, several at once, and what lies between stages.

Times are those of work queued back to back, from the first launch to the last end, over their number: what a stage takes of
the device, without what the host does meanwhile. Stages take turns, and so do chain and whole; medians are taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import NamedTuple, TypeAlias

from dvabatch.batching.commands import Copy
from dvabatch.batching.costs import Costs
from dvabatch.batching.curve import Curve
from dvabatch.batching.limits import Limits
from dvabatch.batching.place import Place
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import NS_PER_MS, Profile, StageCurves
from dvabatch.runtime.at_once import AtOnce, lane_name
from dvabatch.runtime.clock_powers import Clock, ClockPowers
from dvabatch.runtime.crowds import Crowds
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.driven import Driven, Queue, repeated_ns
from dvabatch.runtime.profiling import OneByOne, ProfileRun, batch_sizes, curve
from engines.base import Array

# A host has slow spells, in which all that it does takes twice as long: what hangs on it is measured at several turns, and
# again after each turn of the crowds, and that counts in which the host was fastest, whatever came out. What launches and
# boundaries cost are differences: all of one turn.
_TURNS = 4
_TURNS_OF_CROWDS = 3
_PARTS_ALONE = 2  # of `budget_s`, around a series: short, so that the clock does not recover meanwhile


@dataclass(frozen=True, slots=True)
class DeviceEffort:
    """How long to measure: work of `budget_s` for each figure, `rounds` times in turn."""

    budget_s: float = 0.03
    rounds: int = 6
    queries: int = 60  # in a queue that never runs dry, for what a launch and a boundary cost
    light_s: float = 0.4  # of queries that mostly find everything idle, for what waking costs
    cycles: int = 16  # of as many batches as run at once, for what is served at best
    launches: int = 160  # that begin at random, for each number that may run at once
    rest_s: float = 0.5  # until a card that was at work is back at its highest clock
    heat_s: float = 0.5  # of work, until one that has rested is at its lowest
    burst_s: float = 0.015  # that neither of them keeps its clock for longer


# Milliseconds of a span: whose, from which stage to which.
_Timed: TypeAlias = tuple[list[float], tuple[DeviceLauncher, int, int]]


class _Turn(NamedTuple):
    """What tells the host's costs, measured right after each other."""

    one: Queue  # of single queries
    steps: Queue  # of such as stop at every boundary
    full: Queue  # of full batches
    lone_ns: float  # the response of queries that mostly find everything idle


class DeviceProfiler:
    """Measures the stages on a device and the whole model beside them."""

    def __init__(
        self,
        name: str,
        version: str,
        stages: tuple[DeviceLauncher, DeviceTable],
        whole: DeviceLauncher,
        limits: Limits,
        examples: Sequence[Mapping[str, Array]],
        *,
        row: Callable[[int, int | None], Mapping[str, Array]],
        effort: DeviceEffort | None = None,
        progress: Callable[[str], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        """`examples[lane]` is an input batch of 1, as long as its lane; `row` gives the inputs of a query by its number and
        length, as the pool of a run does. `clock` is the device's between two instants."""
        self._name = name
        self._version = version
        self._launcher, self._table = stages
        self._whole = whole
        self._limits = limits
        self._examples = examples
        self._effort = effort or DeviceEffort()
        self._progress = progress
        self._clock: Clock = clock or (lambda *_: None)
        self._at_once = AtOnce(self._launcher, limits, self._effort.budget_s, self._effort.rounds, progress)
        self._driven = Driven(self._launcher, self._table, limits, row)

    def measure(self) -> ProfileRun:
        """The whole profile."""
        sizes = batch_sizes(self._limits.max_batch)
        last = self._limits.last_stage
        stages: list[list[dict[int, float]]] = []
        wholes: list[Curve] = []
        taxes: dict[int, list[float]] = {size: [] for size in sizes}
        chains: list[dict[int, float]] = []
        clocks: dict[int, list[float | None]] = {}
        apart: list[dict[int, float]] = []
        for lane in range(len(self._limits.lanes)):
            stage_ms: list[dict[int, float]] = [{} for _ in range(last + 1)]
            whole_ms: dict[int, float] = {}
            chain_ms: dict[int, float] = {}
            apart.append({})
            for size in finer_sizes(self._limits.max_batch):
                self._progress(f"timing stages and whole, {lane_name(self._limits, lane)}batch {size}")
                times, mhz = self._time(lane, size)
                clocks.setdefault(size, []).append(mhz)
                for stage in range(last + 1):
                    stage_ms[stage][size] = median(times[stage])
                apart[lane][size] = sum(stage_ms[stage][size] for stage in range(last + 1)) / median(times[-3])
                chain_ms[size], whole_ms[size] = map(median, times[-2:])
                if size in taxes:
                    taxes[size].append(median(chain / whole for chain, whole in zip(*times[-2:], strict=True)))
            stages.append(stage_ms)
            wholes.append(curve(whole_ms))
            chains.append(chain_ms)
        shares, slowdown = self._at_once.measure(sizes, chains)
        curves = [
            [StageCurves(curve(by_size), curve(of_lane)) for by_size in lane]
            for lane, of_lane in zip(stages, shares, strict=True)
        ]
        sm_mhz = _usual(clocks)
        clock_power = self._clock_power(sizes, chains[-1], sm_mhz)
        draft = Profile(self._name, self._limits.lanes, curves, wholes, sm_mhz=sm_mhz)
        turns = self._host_turns(draft)
        crowds = self._crowds(draft, sizes, apart)
        if crowds:
            for _ in range(_TURNS_OF_CROWDS):
                self._progress("running several at once through the driver, all of them by turns")
                crowds.take_turn()
                turns += self._host_turns(draft)
        else:
            turns += self._host_turns(draft)
        costs = self._costs_of(turns, draft)
        profile = Profile(
            self._name, draft.lanes, curves, wholes, None, costs, slowdown, f"measured on {self._version}",
            crowds.slowdowns(costs) if crowds else None, sm_mhz, clock_power,
        )  # fmt: skip
        return ProfileRun(profile, {size: sum(tax) / len(tax) for size, tax in taxes.items()})

    def _time(self, lane: int, size: int) -> tuple[list[list[float]], float | None]:
        """Milliseconds of each stage and of their chain, and of the chain again and the whole model, one in each round; and the
        clock of the former.

        Work that is heavy for the device lowers its clock, and that of what follows. So what is compared takes turns, the
        stages with their chain, and the chain with the whole model, and every other round goes backwards.
        """
        place = Place(0, 0, size)
        last = self._limits.last_stage
        spans = [(self._launcher, stage, stage) for stage in range(last + 1)]
        spans += [(self._launcher, 0, last), (self._launcher, 0, last), (self._whole, 0, 0)]
        found: list[list[float]] = [[] for _ in spans]
        for launcher, first, through in spans:
            launcher.repeat(0, first, through, place, lane)  # captures what there is to capture
            launcher.synchronize(0)
        timed = list(zip(found, spans, strict=True))
        began_ns = time.perf_counter_ns()
        self._take_turns(timed[:-2], place, lane)
        mhz = self._clock(began_ns, time.perf_counter_ns())
        self._take_turns(timed[-2:], place, lane)
        return found, mhz

    def _take_turns(self, timed: list[_Timed], place: Place, lane: int) -> None:
        for _ in range(self._effort.rounds):
            for times, (launcher, first, through) in timed:
                times.append(self._repeated_ms(launcher, first, through, place, lane))
            timed.reverse()

    def _repeated_ms(self, launcher: DeviceLauncher, first: int, last: int, place: Place, lane: int) -> float:
        """One span, queued again and again without a pause."""
        budget_ms, count = 1e3 * self._effort.budget_s, 3
        while True:
            each_ms = repeated_ns(launcher, first, last, place, lane, count) / NS_PER_MS
            if count * each_ms >= budget_ms / 2:
                return each_ms
            count = max(count + 1, round(min(10.0 * count, budget_ms / each_ms)))

    def _clock_power(self, sizes: Sequence[int], chain_ms: Mapping[int, float], sm_mhz: Curve | None) -> Curve | None:
        """Of the last lane, in chains."""
        lane, last, burst_ms = len(self._limits.lanes) - 1, self._limits.last_stage, 1e3 * self._effort.burst_s

        def repeated(size: int, count: int) -> float:
            return repeated_ns(self._launcher, 0, last, Place(0, 0, size), lane, count)

        effort = self._effort
        powers = ClockPowers(repeated, self._clock, rest_s=effort.rest_s, heat_s=effort.heat_s, progress=self._progress)
        return powers.measure(sizes, lambda size: max(2, round(burst_ms / chain_ms[size])), sm_mhz)

    def _crowds(self, draft: Profile, sizes: Sequence[int], apart: Sequence[Mapping[int, float]]) -> Crowds | None:
        """As many alike as run at once, by lane and size; None where only one may run."""
        if not self._at_once.counts:
            return None
        effort = self._effort
        crowds = Crowds(
            self._driven,
            draft,
            apart,
            cycles=effort.cycles,
            launches=effort.launches,
            alone_s=effort.budget_s / _PARTS_ALONE,
        )
        for lane, size, count in product(range(len(self._limits.lanes)), sizes, self._at_once.counts):
            self._progress(
                f"running several at once through the driver, {lane_name(self._limits, lane)}batch {size}, {count} at once"
            )
            crowds.add(lane, size, count)
        return crowds

    def _host_turns(self, draft: Profile) -> list[_Turn]:
        """What tells the host's costs, some times over, through the driver of a real run."""
        self._progress("timing launches and boundaries")
        most = self._limits.max_batch
        one_by_one = Normal(FillOrWait(1, 0, 1))
        full = Normal(FillOrWait(most, 0, 1))
        return [
            _Turn(
                self._driven.queued(draft, one_by_one, 1, self._effort.queries),
                self._driven.queued(draft, OneByOne(), 1, self._effort.queries),
                self._driven.queued(draft, full, most, self._effort.queries),
                self._driven.lone_ns(draft, one_by_one, self._effort.light_s),
            )
            for _ in range(_TURNS)
        ]

    def _costs_of(self, turns: Sequence[_Turn], draft: Profile) -> Costs:
        """What a launch, a boundary, and a row that is transferred or copied cost."""
        self._progress("timing copies")
        place = Place(0, 0, 1)
        direct_ns = draft.span_ns(0, self._limits.last_stage, 1, 0)
        most = self._limits.max_batch
        one, steps, of_full, lone_ns = min(turns, key=lambda turn: turn.one.queueing_ns + turn.steps.queueing_ns)
        boundaries, further = max(1, self._limits.last_stage), max(1, most - 1)
        # Each further row keeps the thread, and then the line to the device.
        of_rows_ns = of_full.round_ns - draft.span_ns(0, self._limits.last_stage, most, 0) - (one.round_ns - direct_ns)
        row_busy_ns = max(0.0, (of_full.queueing_ns - one.queueing_ns) / further)
        row_ns = max(0.0, of_rows_ns / further - row_busy_ns) if most > 1 else 0.0
        bounce_ns, bounce_ns_per_row = self._bounce_ns()
        return Costs(
            launch_ns=max(0, round(one.round_ns - direct_ns - row_ns)),
            boundary_ns=max(0, round((steps.round_ns - one.round_ns) / boundaries)),
            copy_ns_per_row=self._copy_ns(place),
            transfer_ns_per_row=round(row_ns),
            wake_ns=max(0, round(lone_ns - one.round_ns)),
            bounce_ns=bounce_ns,
            bounce_ns_per_row=bounce_ns_per_row,
            one_host=True,  # the driver's thread
            launch_busy_ns=round(one.busy_ns),
            launch_busy_ns_per_row=round(row_busy_ns),
            boundary_busy_ns=max(0, round((steps.busy_ns - one.busy_ns) / boundaries)),
            queueing_ns=round(one.queueing_ns),
            first_queueing_ns=round(steps.queueing_ns),
        )

    def _bounce_ns(self) -> tuple[int, int]:
        """What a stage takes longer on rows that do not begin their set, and more for each of them: a mean over the stages."""
        lane, most = len(self._limits.lanes) // 2, self._limits.max_batch
        if most < 2:
            return 0, 0
        few, many = 1, max(1, most // 2)
        extra_ns = {}
        for rows in (few, many):
            places = Place(0, 0, rows), Place(0, many, rows)
            of_stages = []
            for stage in range(self._limits.stages):
                times: tuple[list[float], list[float]] = [], []
                for place in places:
                    self._launcher.repeat(0, stage, stage, place, lane)  # captures what there is to capture
                    self._launcher.synchronize(0)
                for _ in range(self._effort.rounds):
                    for of_place, place in zip(times, places, strict=True):
                        of_place.append(self._repeated_ms(self._launcher, stage, stage, place, lane))
                of_stages.append(median(times[1]) - median(times[0]))
            extra_ns[rows] = NS_PER_MS * sum(of_stages) / len(of_stages)
        row_ns = max(0.0, (extra_ns[many] - extra_ns[few]) / (many - few)) if many > few else 0.0
        return max(0, round(extra_ns[few] - few * row_ns)), round(row_ns)

    def _copy_ns(self, place: Place) -> int:
        """Nanoseconds per row moved between sets, over the boundaries."""
        if self._limits.buffer_sets < 2:
            return 0
        rows = min(4, self._limits.max_batch)
        times = []
        for stage in range(1, self._limits.stages):
            command = Copy(place._replace(rows=rows), Place(1, 0, rows), stage, 0)
            for _ in range(5):
                began_ns = time.perf_counter_ns()
                self._table.copy(command)
                self._table.finish_copies()
                times.append((time.perf_counter_ns() - began_ns) / rows)
        return round(median(times)) if times else 0


def finer_sizes(max_batch: int) -> list[int]:
    """The sizes at which stages and the whole are timed: four between one power of two and the next, and the maximum.

    What kernels take rises in steps, by as many rows as one of their tiles has: over a whole octave a straight line is off by
    a tenth and more.
    """
    quarters = {(4 + quarter) << octave >> 2 for octave in range(max_batch.bit_length()) for quarter in range(4)}
    return sorted({*(size for size in quarters if 1 <= size < max_batch), max_batch})


def _usual(clocks: Mapping[int, Sequence[float | None]]) -> Curve | None:
    """Means by batch size; None where any is not known."""
    known = {size: [mhz for mhz in of_size if mhz is not None] for size, of_size in clocks.items()}
    if any(len(known[size]) < len(of_size) for size, of_size in clocks.items()):
        return None
    return curve({size: sum(of_size) / len(of_size) for size, of_size in known.items()})
