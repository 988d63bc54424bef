"""Which track a launch takes."""

from __future__ import annotations

from dvabatch.batching.commands import Launch
from dvabatch.batching.place import Place
from dvabatch.runtime.device_tracks import Flight, Tracks
from tests.runtime.fake_device import FakeDevice

SETS, MORE = 2, 2


def tracks() -> tuple[FakeDevice, Tracks]:
    device = FakeDevice()
    made = Tracks(device, 3, SETS + MORE)
    made.at(SETS + MORE - 1)
    return device, made


def begin(device: FakeDevice, of: Tracks, launch_id: int, buffer_set: int, after: int | None = None) -> int:
    """Which one it takes."""
    launch = Launch(launch_id, launch_id, 0, 0, 0, Place(buffer_set, launch_id, 1), (launch_id,), (0,), after)
    track = of.take(launch)
    of.put(track, Flight(launch_id, device.event(), None))
    return track.index


def test_a_launch_takes_its_set_s_track() -> None:
    device, made = tracks()
    assert [begin(device, made, number, number) for number in (1, 0)] == [1, 0]


def test_late_queries_leave_the_other_sets_theirs() -> None:
    device, made = tracks()
    assert begin(device, made, 0, 0) == 0
    assert [begin(device, made, number, 0) for number in (1, 2)] == [3, 2]
    assert begin(device, made, 3, 1) == 1, "whose graphs are captured for its rows"


def test_with_nothing_else_free_it_takes_another_set_s_and_then_the_least_busy_one() -> None:
    device, made = tracks()
    assert [begin(device, made, number, 0) for number in range(4)] == [0, 3, 2, 1]
    assert begin(device, made, 4, 0, after=2) == 2
    assert begin(device, made, 5, 0, after=0) == 0
    assert begin(device, made, 6, 0) == 1
