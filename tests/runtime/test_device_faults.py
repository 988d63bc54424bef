"""What a device is said to have done: ends that come late, otherwise, or never."""

from __future__ import annotations

from collections.abc import Sequence

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import DeviceLost, Event, LaunchFailed, LaunchFinished
from dvabatch.batching.place import Place
from dvabatch.runtime.device_faults import FaultyDevice
from dvabatch.runtime.faults import Failing, Fault, Faults, Hanging, Slow
from tests.runtime.rig import quick_table

STAGE_NS = 10_000  # at batch 1


class Plain:
    """A device on which launches end when the test says so."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.given_up: list[int] = []
        self.news: list[Event] = []

    @property
    def in_flight(self) -> bool:
        return bool(self.news)

    def start(self, launch: Launch) -> None:
        self.started.append(launch.id)

    def give_up(self, launch: Launch) -> bool:
        self.given_up.append(launch.id)
        return launch.id in self.started and LaunchFinished(launch.id) not in self.news

    def poll(self) -> list[Event]:
        news, self.news = self.news, []
        return news


class Bench:
    """A faulty device around a plain one, and a clock that stands still."""

    def __init__(self, *plan: Fault) -> None:
        self.plain = Plain()
        self.now_ns = 0
        self._faults = Faults(plan, 0)
        self.faulty = FaultyDevice(self.plain, self._faults, quick_table(3)[0], lambda: self.now_ns)

    def start(self, launch_id: int, after: int | None = None) -> Launch:
        launch = Launch(launch_id, launch_id, 0, 0, 2, Place(0, 0, 1), (launch_id,), (0, 0, 0), after)
        self._faults.strike(launch, self.now_ns)
        self.faulty.start(launch)
        return launch

    def ends(self, now_ns: int, *events: Event) -> Sequence[Event]:
        """What is reported at an instant at which this has happened."""
        self.now_ns = now_ns
        self.plain.news = list(events)
        return self.faulty.poll()


def test_whom_nothing_befalls_is_reported_at_once() -> None:
    bench = Bench(Failing(0, launch=1))
    bench.start(0)
    assert bench.ends(5, LaunchFinished(0), DeviceLost("power")) == [LaunchFinished(0), DeviceLost("power")]


def test_who_fails_is_said_to_have_failed_and_a_failure_of_its_own_keeps_its_reason() -> None:
    bench = Bench(Failing(1, 1.0))
    bench.start(0)
    bench.start(1)
    assert bench.ends(5, LaunchFinished(0)) == [LaunchFailed(0, "stage 1 failed (injected)")]
    assert bench.ends(6, LaunchFailed(1, "no memory")) == [LaunchFailed(1, "no memory")]


def test_who_is_slow_is_reported_later_by_what_the_profile_says_of_its_stages() -> None:
    bench = Bench(Slow(0, 3), Slow(2, 2))
    bench.start(0)
    assert bench.ends(100, LaunchFinished(0)) == []
    assert bench.faulty.in_flight
    assert bench.ends(100 + 3 * STAGE_NS - 1) == []
    assert bench.ends(100 + 3 * STAGE_NS) == [LaunchFinished(0)]
    assert not bench.faulty.in_flight


def test_who_hangs_is_never_heard_of_and_can_be_given_up_though_it_has_ended() -> None:
    bench = Bench(Hanging(0, launch=0))
    launch = bench.start(0)
    assert bench.ends(5, LaunchFinished(0)) == []
    assert not bench.faulty.in_flight
    assert bench.faulty.give_up(launch)
    assert bench.ends(9) == []


def test_who_waits_behind_one_that_is_slow_starts_when_that_one_is_reported() -> None:
    bench = Bench(Slow(0, 2, until_ns=1))
    bench.start(0)
    bench.now_ns = 1
    bench.start(1, after=0)
    assert bench.plain.started == [0]
    assert bench.ends(100, LaunchFinished(0)) == []
    assert bench.plain.started == [0]
    assert bench.ends(100 + STAGE_NS) == [LaunchFinished(0)]
    assert bench.plain.started == [0, 1]


def test_who_waits_behind_one_that_is_given_up_never_starts() -> None:
    bench = Bench(Hanging(0, launch=0))
    launch = bench.start(0)
    bench.start(1, after=0)
    assert bench.faulty.give_up(launch)
    assert bench.ends(5, LaunchFinished(0)) == [LaunchFinished(0)]  # late, which the machine forgives
    assert bench.plain.started == [0]


def test_one_that_is_held_back_may_be_given_up_and_the_others_are_still_reported() -> None:
    bench = Bench(Slow(0, 2))
    launches = [bench.start(number) for number in range(3)]
    assert bench.ends(0, *(LaunchFinished(number) for number in range(3))) == []
    assert bench.faulty.give_up(launches[1])
    assert bench.ends(STAGE_NS) == [LaunchFinished(0), LaunchFinished(2)]


def test_giving_up_whom_nothing_befell_is_the_devices_own_matter() -> None:
    bench = Bench(Failing(0, launch=5))
    launch = bench.start(0)
    assert bench.faulty.give_up(launch)
    bench.plain.news = [LaunchFinished(0)]
    assert not bench.faulty.give_up(launch)
