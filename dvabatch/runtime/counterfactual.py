"""The same queries once more in the simulator: as they were served, or with an operation taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.runtime.journal import Outcome
from dvabatch.runtime.simulated import SimulatedDriver


@dataclass(slots=True)
class Arrivals:
    """Which queries came, collected from a run's history."""

    queries: list[Query] = field(default_factory=list)

    def unfit(self) -> str | None:
        """Why they cannot be simulated as they came; None if they can."""
        queries = self.queries
        if any(query.id != place for place, query in enumerate(queries)):
            return "its queries are not numbered from 0, in order"
        if any(one.arrival_ns > other.arrival_ns for one, other in pairwise(queries)):
            return "its queries did not arrive in order"
        if len({query.length is None for query in queries}) > 1:
            return "only some of its queries have a length"
        if len({_patience_ns(query) for query in queries}) > 1:
            return "its queries have deadlines of several kinds"
        return None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of one query, and of all on average, in nanoseconds; None where there was no answer."""

    response_ns: int | None
    mean_ns: float | None
    operations: dict[str, int]


def simulate(
    limits: Limits,
    profile: Profile,
    policy: Policy,
    queries: Sequence[Query],
    query_id: int,
    max_concurrency: int | None = None,
) -> Simulated:
    """One run over these queries, which `Arrivals.unfit` has nothing against; faults and cancellations do not recur in it."""
    machine = Machine(limits, profile, policy)
    lengths = None if not queries or queries[0].length is None else [query.length or 0 for query in queries]
    deadline_ns = _patience_ns(queries[0]) if queries else None
    journal = SimulatedDriver(machine).run(
        [query.arrival_ns for query in queries], lengths, deadline_ns, max_concurrency
    )
    spent_ns = np.frombuffer(journal.done_ns, np.int64) - np.frombuffer(journal.arrival_ns, np.int64)
    answered = np.frombuffer(journal.outcome, np.uint8) == Outcome.COMPLETED
    return Simulated(
        int(spent_ns[query_id]) if answered[query_id] else None,
        float(spent_ns[answered].mean()) if answered.any() else None,
        dict(machine.operations),
    )


def _patience_ns(query: Query) -> int | None:
    return None if query.deadline_ns is None else query.deadline_ns - query.arrival_ns
