"""AUTO: which setting serves, entering while there is room, and catching up where it pays."""

from __future__ import annotations

import pytest

from dvabatch.batching.events import HostPaced, LaunchFinished, QueryArrived
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal, NormalInput
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from tests.batching.timeline import MS, Timeline, flat, play

LIMITS = Limits(2, 8, 4, 4)


def auto(entry: FillOrWait, *, in_room: bool = False, catching_up: bool = False) -> Auto:
    return Auto((Setting(1.0, entry, in_room, catching_up),))


def stages(*latency_ms: dict[str, float], share: float = 1.0, boundary_us: float = 0) -> Profile:
    found = [{"latency_ms": latency, "share": {"1": share}} for latency in latency_ms]
    return Profile.from_table({"stages": found, "boundary_us": boundary_us})


LINEAR = {"1": 1.0, "8": 8.0}
FLAT = {"1": 1.0, "8": 1.0}
DEAR = {"1": 4.0, "8": 4.0}


@pytest.mark.parametrize("lanes", [(None,), (4, 8)])
@pytest.mark.parametrize("mixed", [False, True])
def test_without_more_it_is_ordinary_batching(lanes: tuple[int | None, ...], mixed: bool) -> None:
    limits = Limits(2, 4, 2, 2, lanes)
    profile = flat(2) if lanes == (None,) else flat(2, lanes={4: 1.0, 8: 2.0})
    arrivals = [0.0, 0.1, 0.2, 0.3, 0.4, 2.5, 2.6, 7.0, 7.0, 7.1]
    lengths = [None] * 10 if lanes == (None,) else [3, 8, 4, 5, 1, 8, 8, 2, 7, 3]
    entry = FillOrWait(3, 1 * MS, 2, mixed)
    plain: Policy = NormalInput(entry) if mixed else Normal(entry)
    found = [play(limits, profile, policy, arrivals, lengths).ran() for policy in (auto(entry), plain)]
    assert found[0] == found[1]


def entered_ms(line: Timeline) -> list[float]:
    return [run.at_ms for run in line.launches if run.first == 0]


@pytest.mark.parametrize(("share", "second_ms"), [(0.5, 0.5), (0.6, 2.0)])
def test_in_room_it_enters_while_the_shares_allow(share: float, second_ms: float) -> None:
    policy = auto(FillOrWait(8, 0, 4), in_room=True)
    line = play(LIMITS, stages(FLAT, FLAT, share=share), policy, [0.0, 0.5])
    assert entered_ms(line) == [0.0, second_ms]


def test_a_batch_larger_than_the_room_enters_an_empty_device() -> None:
    line = play(LIMITS, stages(FLAT, FLAT, share=1.0), auto(FillOrWait(8, 0, 4), in_room=True), [0.0, 0.1, 0.2])
    assert entered_ms(line) == [0.0, 2.0]


def test_those_who_wait_catch_up_where_the_stage_ahead_gains_from_it() -> None:
    """The second stage takes as long for two as for one: it is worth 1 ms of the head's time to run it once."""
    policy = auto(FillOrWait(8, 0, 4), in_room=True, catching_up=True)
    line = play(LIMITS, stages(FLAT, DEAR), policy, [0.0, 0.5])
    assert line.ran() == [(0.0, 0, 0, 0, (0,)), (1.0, 1, 0, 0, (1,)), (2.0, 0, 1, 1, (0, 1))]
    assert line.operations == {"new": 1, "stretch": 1, "merge": 1, "split": 0, "hold": 0}


@pytest.mark.parametrize(
    "profile",
    [
        stages(LINEAR, LINEAR),  # nothing is gained by going together
        stages(FLAT, DEAR, boundary_us=9_000),  # nor if the boundary costs more than what is gained
        stages(DEAR, FLAT),  # nor where catching up takes longer than what is ahead
    ],
)
def test_where_it_does_not_pay_nobody_waits(profile: Profile) -> None:
    policy = auto(FillOrWait(1, 0, 4), in_room=True, catching_up=True)
    line = play(LIMITS, profile, policy, [0.0, 0.5])
    assert (line.operations["new"], line.operations["stretch"]) == (2, 0)


@pytest.mark.parametrize(("percent", "stretched"), [(100, 1), (1_000, 0)])
def test_on_a_slow_host_a_boundary_may_cost_more_than_catching_up_gains(percent: int, stretched: int) -> None:
    policy = auto(FillOrWait(8, 0, 4), in_room=True, catching_up=True)
    machine = Machine(LIMITS, stages(FLAT, DEAR, boundary_us=900), policy, debug=True)
    machine.handle([HostPaced(percent), QueryArrived(Query(0, 0))], 0)
    machine.handle([QueryArrived(Query(1, MS // 2))], MS // 2)
    machine.handle([LaunchFinished(0)], MS)
    assert machine.operations["stretch"] == stretched


def test_the_pace_of_arrivals_says_which_setting_serves() -> None:
    """Alone and at once while little comes; in threes when much does."""
    one, three = FillOrWait(1, 0, 4), FillOrWait(3, 50 * MS, 1)
    policy = Auto((Setting(0.3, one, False, False), Setting(9.0, three, False, False)))
    profile = flat(2)  # 0.25 ms of a device a query, at batch 8
    slow = [20.0 * i for i in range(6)]
    fast = [300 + 0.4 * i for i in range(300)]
    line = play(LIMITS, profile, policy, slow + fast)
    assert {len(run.ids) for run in line.launches if run.at_ms < 300} == {1}
    busy = [len(run.ids) for run in line.launches if 360 < run.at_ms < 420]  # until the last has come
    assert busy == [3] * len(busy)
    assert len(busy) > 3


def test_one_query_is_no_crowd_however_few_are_usual() -> None:
    entry = FillOrWait(1, 0, 1)
    low, high = Setting(0.3, entry, False, False, usual=0.1), Setting(9.0, entry, False, False, usual=20.0)
    assert [Auto((low, high)).setting(0.05, present) for present in (1, 2)] == [low, high]


def test_a_crowd_that_the_pace_does_not_show_yet_goes_to_the_next_setting() -> None:
    entry = FillOrWait(1, 0, 1)
    low, high = Setting(0.3, entry, False, False, usual=4.0), Setting(0.6, entry, False, False, usual=10.0)
    top = Setting(9.0, entry, False, False, usual=20.0)
    policy = Auto((low, high, top))
    assert [policy.setting(0.1, present) for present in (0, 10, 11, 19, 20, 500)] == [low, low, high, high, top, top]
    assert policy.setting(0.5, 0) is high, "nobody is here, and the pace still says that much comes"


def test_a_burst_is_met_by_large_batches_before_the_pace_shows_it() -> None:
    """Ten at once after a long silence: by ones without `usual`, by threes with it."""
    one, three = FillOrWait(1, 0, 1), FillOrWait(3, 50 * MS, 1)
    sizes = []
    for usual in (None, 1.0):
        policy = Auto((Setting(50.0, one, False, False, usual), Setting(90.0, three, False, False, usual)))
        line = play(LIMITS, flat(2), policy, [100.0 * i for i in range(20)] + [2000.0] * 10)
        sizes.append(next(len(run.ids) for run in line.launches if run.at_ms >= 2000))
    assert sizes == [1, 3]


def test_settings_rise() -> None:
    setting = Setting(0.5, FillOrWait(1, 0, 1), False, False)
    for wrong in ((), (setting, setting)):
        with pytest.raises(ValueError, match="wanted one or more, rising"):
            Auto(wrong)


def test_a_tail_that_stops_on_its_way_does_not_meet_its_head_before_it_is_there() -> None:
    """With one executor a stage, a tail is launched as far as one is free: it may stand ready at a boundary behind."""
    latencies = [{"1": 1.0, "8": 3.0}, {"1": 2.0, "8": 1.0}, {"1": 3.0, "8": 1.0}, {"1": 3.0, "8": 1.0}]
    policy = auto(FillOrWait(1, 0, 4), in_room=True, catching_up=True)
    line = play(Limits(4, 8, 4, 1), stages(*latencies, share=0.3), policy, [3.0, 4.9, 5.8, 8.2, 8.8])
    assert line.of(4) == [(9.2, 0, 0, (4,)), (12.2, 1, 1, (4,))]  # its head, batch 1, stands at 2 from 8.0
    assert line.of(1)[2:] == [(16.0, 2, 2, (1, 4)), (19.0, 3, 3, (1, 4))]
