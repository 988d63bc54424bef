"""INPUT_DVA: every length bucket on its own; short ones overtake and leave early, long ones do not starve."""

from __future__ import annotations

from collections.abc import Sequence

from dvabatch.batching.limits import Limits
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import InputDva
from dvabatch.batching.profile import Profile
from tests.batching.timeline import Timeline, play

# Both need half a millisecond in stage 0; in stage 1 short ones need 1 ms, long ones 10.
SOON = {"latency_ms": {"1": 0.5, "4": 0.5}}
PROFILE = Profile.from_table(
    {
        "lanes": {
            "8": {"stages": [SOON, {"latency_ms": {"1": 1, "4": 1}}]},
            "16": {"stages": [SOON, {"latency_ms": {"1": 10, "4": 10}}]},
        }
    }
)


def run(arrivals_ms: list[float], lengths: Sequence[int | None], *, executors: int = 1, most: int = 1) -> Timeline:
    limits = Limits(2, 4, 64, executors, lanes=(8, 16))
    return play(limits, PROFILE, InputDva(FillOrWait(most, 0, 64)), arrivals_ms, lengths)


def test_a_short_one_overtakes_a_long_one_that_waits_for_the_same_stage() -> None:
    line = run([0, 0, 0.2], [16, 16, 8])
    assert [(r.at_ms, r.ids) for r in line.launches if r.last == 1] == [(0.5, (0,)), (10.5, (2,)), (11.5, (1,))]


def test_a_short_one_leaves_early_while_a_long_one_runs_beside_it() -> None:
    line = run([0, 0], [16, 8], executors=2)
    assert line.done_ms == {0: 10.5, 1: 1.5}


def test_buckets_never_mix() -> None:
    line = run([0, 0, 0, 0], [16, 8, 9, 2], executors=2, most=4)
    assert {(r.lane, r.ids) for r in line.launches} == {(1, (0, 2)), (0, (1, 3))}


def test_a_stream_of_short_ones_does_not_starve_a_long_one() -> None:
    """Short ones fill stage 1 to the brim for 60 ms; the long one has its turn when its virtual deadline comes, at 11 ms."""
    arrivals: list[float] = [0, 0, 0, 0.5, *range(1, 60)]
    line = run(arrivals, [8, 8, 8, 16] + [8] * 59)
    start = next(r.at_ms for r in line.launches if r.ids == (3,) and r.last == 1)
    overtaken = sum(1 for r in line.launches if r.last == 1 and r.ids[0] > 3 and r.at_ms < start)
    assert overtaken >= 5
    assert 10 <= start <= 14  # while the stream goes on
    assert max(line.done_ms) > 30


def test_alone_it_goes_through_in_one_launch_if_executors_are_left() -> None:
    assert run([0], [8], executors=2).ran() == [(0, 0, 0, 1, (0,))]


def test_the_only_executor_is_not_kept_longer_than_its_stage() -> None:
    """A short one that comes just behind a lone long one enters as soon as stage 0 is free."""
    line = run([0, 0.2], [16, 8])
    assert next(r.at_ms for r in line.launches if r.ids == (1,)) == 0.5
