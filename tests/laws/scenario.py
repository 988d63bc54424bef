"""What happens to a machine from outside in one run: facts drawn by Hypothesis, and nothing else random but one seed."""

from __future__ import annotations

from dataclasses import dataclass

from dvabatch.batching.limits import Limits
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query

TICK_NS = 1_000_000  # tables are in whole milliseconds, so that ends and arrivals often fall into one instant


@dataclass(frozen=True, slots=True)
class Scenario:
    """`fail_every` and `late_every` pick launches by their number: 0 for never."""

    limits: Limits
    profile: Profile
    queries: tuple[Query, ...]
    cancels: tuple[tuple[int, int], ...] = ()  # (instant, query)
    losses: tuple[tuple[int, int, int], ...] = ()  # (instant, stage, executor)
    successors: bool = False  # whether fresh executors take over from those that are lost
    device_lost_ns: int | None = None
    fail_every: int = 0
    late_every: int = 0  # of the launches that were lost, which are heard of after all
    stale_timers: tuple[int, ...] = ()
    host_paces: tuple[tuple[int, int], ...] = ()  # (instant, percent)
    jitter: int = 0  # ticks by which a launch may take longer than the table says
    shuffle_seed: int | None = None  # None: events of an instant in the order of happening
    one_by_one: bool = False  # an instant's events in calls of their own, in the order in which they happened
