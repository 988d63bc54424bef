"""The sender and the cursor keep to the schedule's instants, whatever time does."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.loadgen import Cursor, Schedule, make_schedule, send
from dvabatch.loadgen.replay import Replay

MS = 1_000_000
ANCHOR = 50 * MS


def scheduled(*arrivals_ns: int) -> Schedule:
    offsets = np.array(arrivals_ns, dtype=np.int64)
    return make_schedule(Replay(offsets), num_requests=None, max_duration_s=None, seed=0)


@dataclass
class FakeTime:
    """A clock that only sleeping and submitting move; sleeps end `late_ns` late, or early where that is negative."""

    now_ns: int = 0
    late_ns: int = 0
    submit_ns: int = 0
    stop_at_ns: int = 10**18
    slept_s: list[float] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)

    def clock(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept_s.append(seconds)
        self.now_ns += max(round(seconds * 1e9) + self.late_ns, 1)

    def submit(self, index: int) -> None:
        self.sent.append((index, self.now_ns))
        self.now_ns += self.submit_ns

    def run(self, schedule: Schedule) -> int:
        return send(
            schedule,
            self.submit,
            anchor_ns=ANCHOR,
            clock=self.clock,
            sleep=self.sleep,
            stop=lambda: self.now_ns >= self.stop_at_ns,
        )


def test_requests_go_out_at_their_instants() -> None:
    time = FakeTime()
    assert time.run(scheduled(0, MS, MS, 3 * MS)) == 4
    assert time.sent == [(0, ANCHOR), (1, ANCHOR + MS), (2, ANCHOR + MS), (3, ANCHOR + 3 * MS)]


def test_lateness_does_not_add_up() -> None:
    """Each sleep ends 0.1 ms late, and so does each request: not 0.1, 0.2, 0.3 ... ms."""
    time = FakeTime(late_ns=MS // 10)
    time.run(scheduled(*range(0, 100 * MS, MS)))
    assert {now - ANCHOR - index * MS for index, now in time.sent} == {MS // 10}


def test_an_early_wake_up_sleeps_again() -> None:
    time = FakeTime(late_ns=-MS // 10)
    time.run(scheduled(0, 10 * MS))
    assert time.sent == [(0, ANCHOR), (1, ANCHOR + 10 * MS)]


def test_what_is_overdue_goes_out_at_once_and_the_schedule_is_met_again() -> None:
    time = FakeTime(now_ns=ANCHOR + 5 * MS)
    time.run(scheduled(0, MS, 2 * MS, 8 * MS))
    assert [now - ANCHOR for _, now in time.sent] == [5 * MS, 5 * MS, 5 * MS, 8 * MS]
    assert len(time.slept_s) == 1


def test_a_slow_submit_delays_nothing_that_is_still_to_come() -> None:
    time = FakeTime(submit_ns=3 * MS)
    time.run(scheduled(0, MS, 10 * MS))
    assert [now - ANCHOR for _, now in time.sent] == [0, 3 * MS, 10 * MS]


def test_stop_is_heard_during_a_long_gap() -> None:
    time = FakeTime(stop_at_ns=ANCHOR + 1000 * MS)
    assert time.run(scheduled(0, 3_600_000 * MS)) == 1
    assert time.now_ns <= time.stop_at_ns + 50 * MS


def test_stop_is_heard_when_overdue() -> None:
    time = FakeTime(now_ns=ANCHOR + 100 * MS, submit_ns=MS, stop_at_ns=ANCHOR + 103 * MS)
    assert time.run(scheduled(*range(50))) == 3
    assert len(time.sent) == 3


def test_the_cursor_takes_what_is_due_once() -> None:
    cursor = Cursor(scheduled(0, MS, MS, 4 * MS), anchor_ns=ANCHOR)
    assert cursor.next_ns == ANCHOR
    assert cursor.take_due(ANCHOR - 1) == range(0)
    assert cursor.take_due(ANCHOR) == range(1)
    assert cursor.next_ns == ANCHOR + MS
    assert cursor.take_due(ANCHOR + 2 * MS) == range(1, 3)
    assert cursor.take_due(ANCHOR) == range(3, 3)  # a clock that goes back gives nothing twice
    assert cursor.take_due(ANCHOR + 4 * MS) == range(3, 4)
    assert cursor.take_due(10**18) == range(4, 4)
    assert cursor.next_ns is None


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=50, unique=True).map(sorted),
    st.lists(st.integers(0, 1200), max_size=20).map(sorted),
)
def test_push_and_pull_agree_on_what_is_due(arrivals: list[int], instants: list[int]) -> None:
    schedule = scheduled(*arrivals)
    cursor = Cursor(schedule, anchor_ns=ANCHOR)
    time = FakeTime()
    time.run(schedule)
    for instant in instants:
        due = cursor.take_due(ANCHOR + instant)
        assert due.stop == sum(now <= ANCHOR + instant for _, now in time.sent)
        taken: npt.NDArray[np.int64] = schedule.arrivals_ns[due.start : due.stop]
        assert (taken <= instant).all()
        assert cursor.next_ns is None or cursor.next_ns > ANCHOR + instant
