"""Progress: what looks from outside add up to, against the journal read whole."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.place import Place
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.progress import Progress

MS = 1_000_000
STAGES = 3


class Written:
    """A run that a test writes by hand, as a driver would."""

    def __init__(self, arrivals_ns: list[int]) -> None:
        profile = Profile.from_table({"stages": [{"latency_ms": {"1": 1.0, "8": 2.0}}] * STAGES})
        self.machine = Machine(Limits(STAGES, 8), profile, Normal(FillOrWait(8, max_delay_ns=0, instances=1)))
        self.journal = Journal(len(arrivals_ns))
        self.now_ns = -1
        self.arrivals_ns = arrivals_ns
        self.progress = Progress(np.array(arrivals_ns), self.journal, self.machine, lambda: self.now_ns)

    def admit(self, query_id: int) -> None:
        self.journal.arrival_ns[query_id] = self.arrivals_ns[query_id]
        self.journal.admitted_ns[query_id] = self.now_ns

    def launch(self, first: int, last: int, rows: int) -> None:
        place, ids = Place(0, 0, rows), tuple(range(rows))
        self.journal.launched(Launch(0, 0, 0, first, last, place, ids, (0,) * (last - first + 1)))


def test_before_the_anchor_nothing_has_happened() -> None:
    run = Written([0, 5 * MS])
    run.now_ns = -50 * MS
    reading = run.progress.read()
    assert (reading.now_ns, reading.due, reading.ended, reading.in_flight) == (0, 1, 0, 0)
    assert (reading.asked_rps, reading.achieved_rps, reading.p50_ns, reading.p99_ns) == (0, 0, None, None)
    assert reading.mean_batch == (None,) * STAGES
    assert (run.progress.offered, run.progress.lasts_ns, run.progress.max_batch) == (2, 5 * MS, 8)


@pytest.mark.parametrize("seed", range(5))
def test_every_look_is_what_the_whole_journal_says(seed: int) -> None:
    """Queries end in any order and in any way; some stragglers stay behind for long."""
    drawn = random.Random(seed)
    count = 600
    run = Written(sorted(drawn.randrange(3_000 * MS) for _ in range(count)))
    journal, admitted, open_ids = run.journal, 0, []
    for tick in range(1, 40):
        run.now_ns = tick * 100 * MS
        while admitted < count and run.arrivals_ns[admitted] <= run.now_ns - drawn.randrange(2) * MS:
            run.admit(admitted)
            open_ids.append(admitted)
            admitted += 1
        drawn.shuffle(open_ids)
        for _ in range(drawn.randrange(len(open_ids) + 1)):
            how = drawn.choice([Outcome.COMPLETED] * 4 + [Outcome.FAILED, Outcome.REJECTED, Outcome.CANCELLED])
            journal.ended(open_ids.pop(), how, run.now_ns)
        if drawn.random() < 0.3:
            continue  # a look that comes late sees more
        reading = run.progress.read()
        answered = [i for i in range(count) if journal.outcome[i] == Outcome.COMPLETED]
        assert reading.due == sum(arrival <= run.now_ns for arrival in run.arrivals_ns)
        assert reading.ended == sum(done >= 0 for done in journal.done_ns)
        assert reading.completed == len(answered)
        assert reading.in_flight == len(open_ids)
        responses = sorted(journal.done_ns[i] - run.arrivals_ns[i] for i in answered)
        for share, found in ((0.5, reading.p50_ns), (0.99, reading.p99_ns)):
            assert found == pytest.approx(responses[math.ceil(share * len(responses)) - 1], rel=0.006)


def test_rates_and_batches_are_those_of_the_last_second() -> None:
    run = Written([tick * 10 * MS for tick in range(400)])  # 100 a second
    for quarter in range(1, 13):
        run.now_ns = quarter * 250 * MS
        for query_id in range(25 * (quarter - 1), 25 * quarter):
            run.admit(query_id)
            run.journal.ended(query_id, Outcome.COMPLETED, run.now_ns)
        early = quarter <= 8
        run.launch(0, STAGES - 1, 8 if early else 2)
        if not early:
            run.launch(0, 0, 4)
        run.machine.operations["new"] += 5 if early else 1
        reading = run.progress.read()
    assert reading.asked_rps == pytest.approx(100)
    assert reading.achieved_rps == pytest.approx(100)
    assert reading.mean_batch == (3.0, 2.0, 2.0)
    assert reading.operations_per_s["new"] == pytest.approx(4)
    run.now_ns += 2_000 * MS
    run.progress.read()
    run.now_ns += 1_000 * MS
    quiet = run.progress.read()
    assert quiet.mean_batch == (None,) * STAGES
    assert (quiet.achieved_rps, quiet.operations_per_s["new"]) == (0, 0)


def test_responses_beyond_the_bins_fall_into_the_outer_ones() -> None:
    run = Written([0, 0, 0])
    run.now_ns = 2_000_000 * MS
    for query_id, done_ns in enumerate((0, 1, 2_000_000 * MS)):
        run.admit(query_id)
        run.journal.ended(query_id, Outcome.COMPLETED, done_ns)
    reading = run.progress.read()
    assert reading.p50_ns == pytest.approx(1_000, rel=0.01)
    assert reading.p99_ns is not None
    assert reading.p99_ns > 900_000 * MS
