"""NORMAL, NORMAL_INPUT: wait until full or until the oldest has waited long enough, then go through in one launch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import HostPaced, LaunchFinished, QueryArrived, TimerFired
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.operations import Operation
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.entry import FillOrWait, JustInTime
from dvabatch.batching.policies.policy import Normal, NormalInput
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.batching.view import View
from tests.batching.timeline import MS, flat, play

LIMITS = Limits(stages=3, max_batch=4, buffer_sets=4, executors_per_stage=4)
PROFILE = flat(3)  # 3 ms for the whole
LANES = Limits(stages=1, max_batch=4, buffer_sets=4, executors_per_stage=4, lanes=(8, 16))
TWO_LANES = flat(1, lanes={8: 1, 16: 2})


def test_a_full_batch_goes_at_once_through_all_stages() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(2, 10 * MS, 1)), [0, 1])
    assert line.ran() == [(1, 0, 0, 2, (0, 1))]
    assert line.done_ms == {0: 4, 1: 4}


def test_a_batch_that_is_not_full_goes_when_its_oldest_has_waited_long_enough() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 5 * MS, 1)), [0, 3])
    assert line.ran() == [(5, 0, 0, 2, (0, 1))]
    assert line.wakes_ms[0] == 5


def test_the_delay_counts_from_the_oldest_and_anew_for_the_next_batch() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 5 * MS, 1)), [0, 4, 6])
    assert line.ran() == [(5, 0, 0, 2, (0, 1)), (11, 1, 0, 2, (2,))]


def test_without_delay_whoever_waited_for_the_device_goes_together() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 0, 1)), [0, 1, 2])
    assert line.ran() == [(0, 0, 0, 2, (0,)), (3, 1, 0, 2, (1, 2))]


@pytest.mark.parametrize(("instances", "starts"), [(1, [0, 3, 6]), (2, [0, 1, 3]), (3, [0, 1, 2])])
def test_so_many_instances_run_at_once(instances: int, starts: list[float]) -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(1, 0, instances)), [0, 1, 2])
    assert [run.at_ms for run in line.launches] == starts


def test_no_batch_is_larger_than_its_maximum_and_the_maximum_is_reached() -> None:
    line = play(LIMITS, PROFILE, Normal(FillOrWait(4, 0, 1)), [0] * 9)
    assert [run.ids for run in line.launches] == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]


def test_normal_keeps_lanes_apart() -> None:
    line = play(LANES, TWO_LANES, Normal(FillOrWait(4, 0, 4)), [0, 0, 0], [8, 16, 3])
    assert [(run.lane, run.ids) for run in line.launches] == [(0, (0, 2)), (1, (1,))]


def test_a_full_lane_goes_before_one_whose_older_query_still_waits() -> None:
    line = play(LANES, TWO_LANES, Normal(FillOrWait(2, 9 * MS, 4)), [0, 1, 2], [16, 8, 8])
    assert [(run.at_ms, run.lane, run.ids) for run in line.launches] == [(2, 0, (1, 2)), (9, 1, (0,))]


def test_of_two_lanes_that_are_due_the_one_with_the_older_query_goes_first() -> None:
    line = play(LANES, TWO_LANES, Normal(FillOrWait(1, 0, 1)), [0, 0, 0], [8, 16, 8])
    assert [run.ids for run in line.launches] == [(0,), (1,), (2,)]


def test_one_queue_for_all_lengths_pads_to_the_longest_member() -> None:
    line = play(LANES, TWO_LANES, NormalInput(FillOrWait(3, 0, 1, mixed=True)), [0, 0, 0, 0, 0], [8, 16, 3, 2, 8])
    assert [(run.at_ms, run.lane, run.ids) for run in line.launches] == [(0, 1, (0, 1, 2)), (2, 0, (3, 4))]


def test_one_queue_counts_all_lengths_towards_the_full_batch() -> None:
    line = play(LANES, TWO_LANES, NormalInput(FillOrWait(2, 9 * MS, 1, mixed=True)), [0, 4], [16, 8])
    assert [(run.at_ms, run.ids) for run in line.launches] == [(4, (0, 1))]


@pytest.mark.parametrize("mixed", [False, True])
def test_as_many_are_counted_as_would_enter(*, mixed: bool) -> None:
    entry, counts = FillOrWait(3, 0, 1, mixed=mixed), list[int]()

    class Counting:
        digest = "counting"

        def plan(self, view: View) -> Iterator[Operation]:
            picked = entry.pick(view)
            if isinstance(picked, int):
                counts.append(entry.rows(view, picked))
                assert counts[-1] == len(entry.opened(view, picked).query_ids)
            yield from Normal(entry).plan(view)

    play(LANES, TWO_LANES, Counting(), [0, 0, 0, 0, 0, 0, 0], [8, 16, 3, 2, 8, 16, 16])
    assert counts == [3, 3, 1]


def test_the_digest_tells_options_apart() -> None:
    policies: list[Normal | NormalInput] = [
        Normal(FillOrWait(2, 0, 1)),
        Normal(FillOrWait(4, 0, 1)),
        Normal(FillOrWait(2, 5, 1)),
    ]
    policies.append(NormalInput(FillOrWait(2, 0, 1)))
    assert len({policy.digest for policy in policies}) == 4


def in_time(launch_us: float, transfer_us: float, arrivals_ms: list[float]) -> list[tuple[float, tuple[int, ...]]]:
    """When which queries were launched, on two stages of 1 ms each at any batch size."""
    table = flat(2).to_table() | {"launch_us": launch_us, "transfer_us_per_row": transfer_us}
    policy = Auto((Setting(1.0, JustInTime(FillOrWait(8, 0, 2)), in_room=False, catching_up=False),))
    line = play(Limits(2, 8, 4, 4), Profile.from_table(table), policy, arrivals_ms)
    return [(run.at_ms, run.ids) for run in line.launches]


def test_the_next_batch_is_opened_as_soon_before_one_ends_as_it_takes_to_get_there() -> None:
    """The first should end 2.2 ms after it began; two more rows need 0.3 ms to get there, and three 0.4."""
    assert in_time(100, 100, [0, 0.5, 1.0]) == [(0, (0,)), (1.9, (1, 2))]
    assert in_time(100, 100, [0, 0.5, 1.0, 1.85]) == [(0, (0,)), (1.85, (1, 2, 3))]


def test_whoever_comes_when_one_is_ahead_waits_until_nobody_is() -> None:
    arrivals_ms = [0, 0.5, 1.0, 1.85, 1.9]
    assert in_time(100, 100, arrivals_ms) == [(0, (0,)), (1.85, (1, 2, 3)), (3.85, (4,))]


def test_where_it_takes_no_time_to_get_there_it_is_ordinary_batching_with_one_less() -> None:
    arrivals_ms = [0, 0.5, 1.0, 1.5, 3.0, 3.1, 9.0]
    plain = play(Limits(2, 8, 4, 4), flat(2), Normal(FillOrWait(8, 0, 1)), arrivals_ms)
    assert in_time(0, 0, arrivals_ms) == [(run.at_ms, run.ids) for run in plain.launches]


def test_a_batch_that_was_ahead_begins_when_the_one_before_it_has_ended() -> None:
    """The first should end after 2.2 ms and ends after 3: the second, of one row, after 5 and not after 4.2."""
    table = flat(2).to_table() | {"launch_us": 100, "transfer_us_per_row": 100}
    policy = Auto((Setting(1.0, JustInTime(FillOrWait(8, 0, 2)), in_room=False, catching_up=False),))
    machine = Machine(Limits(2, 8, 4, 4), Profile.from_table(table), policy, debug=True)
    machine.handle([QueryArrived(Query(0, 0))], 0)
    machine.handle([QueryArrived(Query(1, MS))], MS)
    assert machine.wake_ns == 2 * MS
    assert any(isinstance(command, Launch) for command in machine.handle([TimerFired()], 2 * MS))
    machine.handle([LaunchFinished(0)], 3 * MS)
    machine.handle([QueryArrived(Query(2, 4 * MS))], 4 * MS)
    assert machine.wake_ns == 5 * MS - 200_000


def test_a_device_that_had_gone_to_rest_begins_when_it_is_awake() -> None:
    table = flat(2).to_table() | {"launch_us": 100, "wake_us": 400}
    policy = Auto((Setting(1.0, JustInTime(FillOrWait(8, 0, 2)), in_room=False, catching_up=False),))
    machine = Machine(Limits(2, 8, 4, 4), Profile.from_table(table), policy, debug=True)
    for begin_ns in (0, 50 * MS):  # the first ever, and one after a rest
        number = 0 if begin_ns == 0 else 2
        machine.handle([QueryArrived(Query(number, begin_ns))], begin_ns)
        machine.handle([QueryArrived(Query(number + 1, begin_ns + MS))], begin_ns + MS)
        assert machine.wake_ns == begin_ns + 400_000 + 100_000 + 2 * MS - 100_000
        machine.handle([TimerFired()], machine.wake_ns)
        machine.handle([LaunchFinished(number)], begin_ns + 3 * MS)
        machine.handle([LaunchFinished(number + 1)], begin_ns + 5 * MS)


def test_one_thread_that_waits_for_the_instant_has_to_wake_then() -> None:
    table = flat(2).to_table() | {"launch_us": 100, "wake_us": 400, "one_host": True}
    policy = Auto((Setting(1.0, JustInTime(FillOrWait(8, 0, 2)), in_room=False, catching_up=False),))
    machine = Machine(Limits(2, 8, 4, 4), Profile.from_table(table), policy, debug=True)
    machine.handle([QueryArrived(Query(0, 0))], 0)
    machine.handle([QueryArrived(Query(1, MS))], MS)
    assert machine.wake_ns == 400_000 + 100_000 + 2 * MS - 100_000 - 400_000


def test_where_the_host_takes_longer_the_next_batch_is_opened_as_much_sooner() -> None:
    table = flat(2).to_table() | {"launch_us": 100, "launch_busy_us": 80, "transfer_us_per_row": 100}
    policy = Auto((Setting(1.0, JustInTime(FillOrWait(8, 0, 2)), in_room=False, catching_up=False),))
    machine = Machine(Limits(2, 8, 4, 4), Profile.from_table(table), policy, debug=True)
    machine.handle([QueryArrived(Query(0, 0))], 0)
    machine.handle([QueryArrived(Query(1, MS))], MS)
    machine.handle([TimerFired()], 2 * MS)
    machine.handle([LaunchFinished(0)], 3 * MS)
    machine.handle([QueryArrived(Query(2, 4 * MS))], 4 * MS)
    assert machine.wake_ns == 5 * MS - 200_000
    machine.handle([HostPaced(300)], 4 * MS + 1)
    assert machine.wake_ns == 5 * MS - 200_000 - 2 * 80_000


@pytest.mark.parametrize("instances", [1, 3])
def test_one_comes_in_time_for_one_other(instances: int) -> None:
    with pytest.raises(ValueError, match=rf"{instances} instances came, wanted 2"):
        JustInTime(FillOrWait(8, 0, instances))
