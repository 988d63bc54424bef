"""Recorded runs of every policy, small enough to be looked at query by query."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import cache

from dvabatch.batching.history import History, Step
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, InputDva, LoadDva, Normal, NormalInput, OperatorDva
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder, retrace

LANES = (32, 64)
QUERIES = 150
_FILL = FillOrWait(8, 300_000, 2)
_CATCH = CatchingUp(8, 8, 2, None)
_FAVOR = Favoring((4, 2, 6))
POLICIES: dict[str, Policy] = {
    "NORMAL": Normal(_FILL),
    "NORMAL_INPUT": NormalInput(FillOrWait(8, 300_000, 2, mixed=True)),
    "INPUT_DVA": InputDva(_FILL),
    "OPERATOR_DVA": OperatorDva(FillOrWait(5, 0, 6), Favoring((5, 2, 8))),  # parts of several sets merge: copies
    "LOAD_DVA": LoadDva(_CATCH),
    "HYBRID_DVA": HybridDva(_CATCH, _FAVOR),
    "AUTO": Auto((Setting(1000.0, FillOrWait(8, 0, 2), in_room=False, catching_up=True),)),
}


def profile(share: float = 1.0) -> Profile:
    """Three stages in two lanes, with every cost that there is."""
    small, large = {"1": 0.2, "8": 0.5}, {"1": 0.3, "8": 1.8}
    lanes = {
        str(length): {
            "stages": [
                {"latency_ms": {b: ms * factor for b, ms in curve.items()}, "share": {"1": share}}
                for curve in (small, large, small)
            ]
        }
        for length, factor in zip(LANES, (1, 2), strict=True)
    }
    costs = {
        "launch_us": 5,
        "boundary_us": 10,
        "copy_us_per_row": 2,
        "transfer_us_per_row": 1,
        "wake_us": 7,
        "bounce_us": 3,
    }
    return Profile.from_table({"name": "recorded", "lanes": lanes, **costs})


LIMITS = Limits(stages=3, max_batch=8, buffer_sets=6, executors_per_stage=2, lanes=LANES)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run, what was recorded of it, and how it went."""

    policy: Policy
    profile: Profile
    queries: tuple[Query, ...]
    trace: str
    journal: Journal
    operations: dict[str, int]

    @property
    def lines(self) -> list[str]:
        return self.trace.splitlines(keepends=True)

    def history(self) -> History:
        return History(LIMITS, self.profile, self.policy)

    def steps(self) -> list[Step]:
        return list(retrace(self.lines, self.history()))

    def launches(self) -> list[int]:
        """By stage, as the report counts them."""
        return [sum(work.batch_sizes.values()) for work in self.journal.stages(self.profile)]


@cache
def recorded(name: str, share: float = 1.0, deadline_ns: int | None = None) -> Recorded:
    """The run of one of POLICIES."""
    draw = random.Random(7)
    queries, now_ns = [], 0
    for number in range(QUERIES):
        now_ns += draw.choice((0, 0, 50_000, 200_000, 900_000))
        deadline = None if deadline_ns is None else now_ns + deadline_ns
        queries.append(Query(number, now_ns, draw.choice((7, 30, 32, 33, 64, 64)), deadline))
    sink, policy = io.StringIO(), POLICIES[name]
    machine = Machine(LIMITS, profile(share), policy, debug=True)
    journal = SimulatedDriver(machine, Recorder(machine, sink)).run(
        [query.arrival_ns for query in queries], [query.length or 0 for query in queries], deadline_ns
    )
    return Recorded(policy, profile(share), tuple(queries), sink.getvalue(), journal, dict(machine.operations))
