"""The profile: what each stage costs, as every policy and the simulator see it.

Its JSON form is the latency table of configs/tables/: `stages`, `whole` and `crowding` (or `lanes`, by longest length, with
these each), per stage `latency_ms` and `share` by batch size, and beside them `batch_sizes`, `one_host`, `cores`, `slowdown`,
`sm_mhz`, `clock_power` and the costs that costs.py names. What a table leaves out costs 0; a missing share is 1, a
missing slowdown is the sum. Where there is a `crowding`, it goes before the slowdown.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dvabatch.batching.costs import COSTS_US, Costs
from dvabatch.batching.crowding import Crowding
from dvabatch.batching.curve import Curve
from dvabatch.batching.errors import ProfileError
from dvabatch.batching.table_values import (
    LONGEST_MS,
    MAX_BATCH,
    crowding,
    curve,
    integer,
    mapping,
    number,
    times,
    truth,
)

NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000
# Bounds of what is possible at all: a table may come from anywhere, and a few bytes of it could ask for all memory.
_MOST_TABLED: Final = 1 << 21  # lanes x stages x batch sizes, some hundred bytes each
_MOST_SHARES: Final = 4096.0  # in flight at once
_SLOWEST: Final = 1e6


@dataclass(frozen=True, slots=True)
class StageCurves:
    """One stage in one lane: milliseconds and device share by batch size."""

    latency_ms: Curve
    share: Curve


class Profile:
    """T(stage, batch, lane) and its companions, tabled once for every batch size up to `max_batch`.

    Times are integer nanoseconds. A batch size that does not exist costs the next one that does.
    """

    __slots__ = (
        "_exists", "_share", "_slowdown", "_stage_ns", "_whole_ns",
        "batch_sizes", "clock_power", "costs", "crowding", "curves", "digest", "lanes", "max_batch", "name", "sm_mhz",
        "source", "stages", "whole",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        lanes: Sequence[int | None],
        curves: Sequence[Sequence[StageCurves]],
        whole: Sequence[Curve | None] | None = None,
        batch_sizes: Sequence[int] | None = None,
        costs: Costs | None = None,
        slowdown: Curve | None = None,
        source: str = "",
        crowding: Sequence[Mapping[int, Curve]] | None = None,
        sm_mhz: Curve | None = None,
        clock_power: Curve | None = None,
    ) -> None:
        """`curves[lane][stage]`, `crowding[lane]`; `lanes` are the longest length of each, rising, or (None,) without
        lengths. `sm_mhz` is the GPU's clock meanwhile, by batch size, and `clock_power` by which power of a clock that falls
        the device takes longer: 1 where nobody knows.

        Raises:
            ProfileError: the parts do not fit together.
        """
        if not lanes or len(curves) != len(lanes) or len({len(lane) for lane in curves}) != 1 or not curves[0]:
            raise ProfileError(f"{name}: every lane needs the same number of stages, one or more")
        known = [length for length in lanes if length is not None]
        if (len(known) < len(lanes) and len(lanes) > 1) or known != sorted(set(known)):
            raise ProfileError(f"{name}: lanes must be rising lengths, got {list(lanes)}")
        self.name = name
        self.source = source
        self.lanes = tuple(lanes)
        self.curves = tuple(tuple(lane) for lane in curves)
        self.stages = len(curves[0])
        self.costs = costs or Costs()
        self.max_batch = min(int(c.latency_ms.points[-1][0]) for lane in curves for c in lane)
        _check_size(name, self.max_batch, self.stages * len(lanes))
        self.batch_sizes = None if batch_sizes is None else tuple(sorted(batch_sizes))
        if self.batch_sizes is not None:
            if not self.batch_sizes or self.batch_sizes[-1] > self.max_batch:
                raise ProfileError(f"{name}: batch_sizes {list(self.batch_sizes)} go past the table's {self.max_batch}")
            self.max_batch = self.batch_sizes[-1]
        self._slowdown = slowdown
        if slowdown is not None and max(slowdown.at(_MOST_SHARES), *(y for _, y in slowdown.points)) > _SLOWEST:
            raise ProfileError(
                f"{name}: slowdown goes beyond {_SLOWEST:g}, wanted by how much launches slow each other down"
            )
        self.crowding = None if crowding is None else tuple([Crowding(of_lane) for of_lane in crowding])
        if self.crowding is not None and len(self.crowding) != len(lanes):
            raise ProfileError(
                f"{name}: {len(self.crowding)} of {len(lanes)} lanes have a crowding, wanted all or none"
            )
        if sm_mhz is not None and any(mhz <= 0 for _, mhz in sm_mhz.points):
            raise ProfileError(f"{name}: sm_mhz must lie above 0, got {sm_mhz.points}")
        self.sm_mhz = sm_mhz
        if clock_power is not None and any(not 0 <= power <= 1 for _, power in clock_power.points):
            raise ProfileError(f"{name}: clock_power lies from 0 to 1, got {clock_power.points}")
        self.clock_power = clock_power
        self.whole = tuple(whole) if whole else (None,) * len(self.lanes)
        sizes = range(self.max_batch + 1)
        exists = [self._next_size(b) for b in sizes]
        self._exists = exists
        self._stage_ns = [
            [[0, *(round(c.latency_ms.at(exists[b]) * NS_PER_MS) for b in sizes[1:])] for c in lane] for lane in curves
        ]
        self._share = [[[0.0, *(c.share.at(exists[b]) for b in sizes[1:])] for c in lane] for lane in curves]
        if any(t <= 0 for lane in self._stage_ns for stage in lane for t in stage[1:]):
            raise ProfileError(f"{name}: every stage needs a time above 0 at every batch size")
        if any(not 0 < u <= 1 for lane in self._share for stage in lane for u in stage[1:]):
            raise ProfileError(f"{name}: every device share must lie in (0, 1]")
        self._whole_ns = [
            [sum(stage[b] for stage in self._stage_ns[i]) for b in sizes]
            if (curve := self.whole[i]) is None
            else [0, *(round(curve.at(exists[b]) * NS_PER_MS) for b in sizes[1:])]
            for i in range(len(self.lanes))
        ]
        if any(t <= 0 for lane in self._whole_ns for t in lane[1:]):
            raise ProfileError(f"{name}: the whole model needs a time above 0 at every batch size, or none to be given")
        self.digest = hashlib.sha256(json.dumps(self.to_table(), sort_keys=True).encode()).hexdigest()

    def _next_size(self, batch: int) -> int:
        if self.batch_sizes is None:
            return batch
        return self.batch_sizes[bisect_left(self.batch_sizes, batch)]

    def padded(self, batch: int) -> int:
        """The batch size that runs when `batch` rows are launched."""
        return self._exists[batch]

    def stage_ns(self, stage: int, batch: int, lane: int) -> int:
        """T(stage, batch, lane), alone on the device."""
        return self._stage_ns[lane][stage][batch]

    def span_ns(self, first: int, last: int, batch: int, lane: int) -> int:
        """The stages `first` to `last` back to back, alone on the device."""
        return sum(stage[batch] for stage in self._stage_ns[lane][first : last + 1])

    def share(self, stage: int, batch: int, lane: int) -> float:
        """u(stage, batch, lane): the part of the device that this launch occupies, in (0, 1]."""
        return self._share[lane][stage][batch]

    def at_once(self, stage: int, batch: int, lane: int) -> int:
        """How many launches alike have a part of the device each, such as a core, that rests while it has none."""
        return max(1, round(1 / self.share(stage, batch, lane)))

    def whole_ns(self, batch: int, lane: int) -> int:
        """The unsliced model at this size where it was measured, else the sum of its stages."""
        return self._whole_ns[lane][batch]

    def slowdown(self, shares: float) -> float:
        """By how much launches slow each other down whose shares sum to this: two or more, for one alone is not slowed.

        Where it was not measured, not at all up to a full device, and by the sum beyond.
        """
        return max(1.0, shares if self._slowdown is None else self._slowdown.at(shares))

    def device_ns(self, batch: int, lane: int) -> float:
        """How much of the device the whole of a batch takes: its time, weighed with its share."""
        return sum(
            share[batch] * stage[batch] for share, stage in zip(self._share[lane], self._stage_ns[lane], strict=True)
        )

    def capacity_rps(self, max_batch: int, mix: Sequence[float] | None = None) -> float:
        """1 / sum over lanes of p · min T(lane, b)/b for b up to `max_batch`: the whole model, one launch at a time."""
        if mix is None:
            mix = [1.0 / len(self.lanes)] * len(self.lanes)
        top = min(max_batch, self.max_batch)
        ns_per_query = sum(
            p * min(self._whole_ns[lane][b] / b for b in range(1, top + 1)) for lane, p in enumerate(mix) if p > 0
        )
        return 1e9 / ns_per_query

    def favored_batch(self, stage: int, lane: int = 0, tolerance: float = 0.95) -> int:
        """The smallest batch whose throughput reaches `tolerance` of the stage's best."""
        rates = [b / self._stage_ns[lane][stage][b] for b in range(1, self.max_batch + 1)]
        return next(b for b, rate in enumerate(rates, 1) if rate >= tolerance * max(rates))

    def at_speed(self, factor: float) -> Profile:
        """The profile of a machine on which everything takes `factor` times as long."""
        return self._like(
            [[StageCurves(stage.latency_ms.times(factor), stage.share) for stage in lane] for lane in self.curves],
            [None if curve is None else curve.times(factor) for curve in self.whole],
            self.costs.at_speed(factor),
        )

    def at_pace(self, factor: float) -> Profile:
        """The profile of a machine on which one thread serves the device and takes `factor` times as long, and the device does
        not."""
        return self._like(self.curves, self.whole, self.costs.at_pace(factor))

    def at_clock(self, mhz: float) -> Profile:
        """The profile of a GPU that keeps this clock, where the kernels of the stages take longer or shorter by it; itself
        where nobody knows at which clock they were timed. The whole model, of which nobody knows, stays as it is."""
        measured = self.sm_mhz
        if measured is None:
            return self

        def there(times: Curve) -> Curve:
            return Curve(
                tuple([(size, ms * self.slower_at(_nearest(measured, size) / mhz, size)) for size, ms in times.points])
            )

        curves = [[StageCurves(there(stage.latency_ms), stage.share) for stage in lane] for lane in self.curves]
        return self._like(curves, self.whole, self.costs, Curve(((1.0, mhz),)))

    def slower_at(self, clocks: float, batch: float) -> float:
        """How many times as long the device takes for a batch where its clock is that many times as slow.

        Kernels that wait for memory do not slow down with the clock: those of large batches do so less than those of small
        ones.
        """
        return clocks if self.clock_power is None else float(clocks ** _nearest(self.clock_power, batch))

    def at_load(self, of_capacity: float) -> Profile:
        """The profile of a GPU under a load that lasts, of this part of its capacity; itself where nobody knows its clocks.

        At full load a card that comes to its power cap keeps about the clock at which the largest size was timed. The same work
        takes power by its clock (about so, in runs of U-Net on an H200): so at a part of the load the clock is that one divided
        by the part, until it is the highest. It is the same for all sizes, which were timed at a clock each.
        """
        if self.sm_mhz is None:
            return self
        clocks = [mhz for _, mhz in self.sm_mhz.points]
        return self.at_clock(max(clocks) if of_capacity <= 0 else min(max(clocks), clocks[-1] / min(1.0, of_capacity)))

    def at_disturbance(self, factor: float) -> Profile:
        """The profile of a machine on which two launches beside each other take `factor` times as long, by their shares.

        Two of a share of half the device or less do not slow each other down: they are as two that fill it.
        """

        def more(share: Curve) -> Curve:
            return Curve(tuple([(x, min(1.0, factor * max(0.5, u))) for x, u in share.points]))

        curves = [[StageCurves(stage.latency_ms, more(stage.share)) for stage in lane] for lane in self.curves]
        return self._like(curves, self.whole, self.costs)

    def _like(
        self,
        curves: Sequence[Sequence[StageCurves]],
        whole: Sequence[Curve | None],
        costs: Costs,
        sm_mhz: Curve | None = None,
    ) -> Profile:
        """The same, but for these; at the same clock where none is given."""
        crowding = None if self.crowding is None else [of_lane.by_size for of_lane in self.crowding]
        return Profile(
            self.name, self.lanes, curves, whole, self.batch_sizes, costs, self._slowdown, self.source, crowding,
            sm_mhz or self.sm_mhz, self.clock_power,
        )  # fmt: skip

    def to_table(self) -> dict[str, object]:
        """The JSON form, from which `from_table` makes an equal profile."""

        def lane_table(i: int) -> dict[str, object]:
            stages = [{"latency_ms": _plain(c.latency_ms), "share": _plain(c.share)} for c in self.curves[i]]
            found: dict[str, object] = {"stages": stages}
            whole = self.whole[i]
            if whole is not None:
                found["whole"] = _plain(whole)
            if self.crowding is not None:
                found["crowding"] = {str(size): _plain(curve) for size, curve in self.crowding[i].by_size.items()}
            return found

        table: dict[str, object] = {"name": self.name, "source": self.source}
        if self.lanes == (None,):
            table.update(lane_table(0))
        else:
            table["lanes"] = {str(length): lane_table(i) for i, length in enumerate(self.lanes)}
        if self.batch_sizes is not None:
            table["batch_sizes"] = list(self.batch_sizes)
        table.update(self.costs.table_us())
        if self.costs.one_host:
            table["one_host"] = True
        if self.costs.cores:
            table["cores"] = self.costs.cores
        if self.sm_mhz is not None:
            table["sm_mhz"] = _plain(self.sm_mhz)
        if self.clock_power is not None:
            table["clock_power"] = _plain(self.clock_power)
        if self._slowdown is not None:
            table["slowdown"] = {repr(x): y for x, y in self._slowdown.points}
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Profile:
        """Reads a latency table.

        Raises:
            ProfileError: naming the key, what came and what was wanted.
        """
        name = str(table.get("name", "table"))
        if ("lanes" in table) == ("stages" in table):
            raise ProfileError(f"{name}: a table holds either 'stages' or 'lanes', got keys {sorted(table)}")
        by_lane: list[tuple[int | None, Mapping[str, object]]]
        if "lanes" in table:
            lanes = mapping(table["lanes"], f"{name}: lanes")
            by_lane = sorted(
                (integer(key, f"{name}: lanes"), mapping(lane, f"{name}: lanes.{key}")) for key, lane in lanes.items()
            )
        else:
            by_lane = [(None, table)]
        curves, whole, crowded = [], [], []
        for length, lane in by_lane:
            at = name if length is None else f"{name}: lanes.{length}"
            stages = lane.get("stages")
            if not isinstance(stages, list) or not stages:
                raise ProfileError(f"{at}: 'stages' must be a list of one or more stages, got {stages!r}")
            curves.append(
                [_stage(mapping(stage, f"{at}: stages[{s}]"), f"{at}: stages[{s}]") for s, stage in enumerate(stages)]
            )
            whole.append(times(lane["whole"], f"{at}: whole", len(stages)) if "whole" in lane else None)
            if "crowding" in lane:
                crowded.append(crowding(lane["crowding"], f"{at}: crowding"))
        sizes = table.get("batch_sizes")
        if sizes is not None and not (isinstance(sizes, list) and all(type(b) is int and b > 0 for b in sizes)):
            raise ProfileError(f"{name}: batch_sizes must be a list of positive integers, got {sizes!r}")

        def ns(key: str) -> int:
            cost_us, most_us = number(table[key], f"{name}: {key}"), int(LONGEST_MS * 1000)
            if cost_us > most_us:
                raise ProfileError(f"{name}: {key} is {table[key]!r}, wanted at most {most_us}")
            return round(cost_us * NS_PER_US)

        host = Costs(
            one_host=truth(table.get("one_host", False), f"{name}: one_host"),
            cores=integer(table["cores"], f"{name}: cores") if "cores" in table else 0,
        )
        costs_ns: dict[str, Any] = {cost: ns(key) for key, cost in COSTS_US.items() if key in table}
        return cls(
            name,
            [length for length, _ in by_lane],
            curves,
            whole,
            sizes,
            replace(host, **costs_ns),
            curve(table["slowdown"], f"{name}: slowdown") if "slowdown" in table else None,
            str(table.get("source", "")),
            crowded or None,
            curve(table["sm_mhz"], f"{name}: sm_mhz") if "sm_mhz" in table else None,
            curve(table["clock_power"], f"{name}: clock_power") if "clock_power" in table else None,
        )


def _check_size(name: str, max_batch: int, curves: int) -> None:
    if max_batch < 1:
        raise ProfileError(f"{name}: a stage has no batch size of 1 or more")
    if max_batch > MAX_BATCH:
        raise ProfileError(f"{name}: the table goes to batch {max_batch:.6g}, wanted at most {MAX_BATCH}")
    if max_batch * curves > _MOST_TABLED:
        raise ProfileError(
            f"{name}: {curves} stages (of all lanes) up to batch {max_batch} make {max_batch * curves} times, wanted at most "
            f"{_MOST_TABLED}: take fewer stages or smaller batches"
        )


def _nearest(curve: Curve, size: float) -> float:
    """Between the sizes measured, in between; beyond them, as at the nearest."""
    return curve.at(min(max(size, curve.points[0][0]), curve.points[-1][0]))


def _plain(curve: Curve) -> dict[str, float]:
    return {str(int(x)) if x == int(x) else repr(x): y for x, y in curve.points}


def _stage(stage: Mapping[str, object], at: str) -> StageCurves:
    if "latency_ms" not in stage:
        raise ProfileError(f"{at}: 'latency_ms' is missing, got keys {sorted(stage)}")
    latency = times(stage["latency_ms"], f"{at}.latency_ms")
    share = curve(stage["share"], f"{at}.share") if "share" in stage else Curve(((1.0, 1.0),))
    return StageCurves(latency, share)
