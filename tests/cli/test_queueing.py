"""What a run on a GPU says of its host: what queueing launches took, against the profile."""

from __future__ import annotations

from typing import Any

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.place import Place
from dvabatch.batching.profile import Profile
from dvabatch.runtime.journal import Journal
from dvabatch_cli.result import queueing_us_of


def profile(**more: Any) -> Profile:
    return Profile.from_table({"stages": [{"latency_ms": {"1": 1.0, "4": 2.0}}] * 2, **more})


def journal(*launches: tuple[int, int, int]) -> Journal:
    """Twenty of each (last stage, rows, what queueing it took in us), all from the first stage."""
    found = Journal(4)
    for last, rows, took_us in launches:
        launch = Launch(0, 0, 0, 0, last, Place(0, 0, rows), tuple(range(rows)), (0,) * (last + 1))
        for _ in range(20):
            found.queued(launch, 1_000 * took_us)
    return found


@pytest.mark.parametrize(
    ("launches", "whole", "first", "pace"),
    [
        ([(1, 1, 60)], 60.0, None, 1.5),
        ([(0, 1, 15)], None, 15.0, 1.5),
        ([(1, 1, 60), (0, 1, 25)], 60.0, 25.0, 2.0),
        ([(1, 4, 110)], None, None, 2.0),
        ([(0, 4, 50), (1, 1, 60)], 60.0, None, 1.75),
    ],
)
def test_launches_tell_the_pace_by_their_rows(
    launches: list[tuple[int, int, int]], whole: float | None, first: float | None, pace: float | None
) -> None:
    known = {"queueing_us": 40, "first_queueing_us": 10, "launch_busy_us_per_row": 5}
    told = queueing_us_of(journal(*launches), profile(**known))
    assert (told["whole"], told["first"], told["pace"]) == (whole, first, pace)
    assert told["p50"] == sum(took_us for _, _, took_us in launches) / len(launches)


def test_where_nobody_knows_what_rows_take_launches_of_one_row_tell_alone() -> None:
    known = {"queueing_us": 40, "first_queueing_us": 10}
    assert queueing_us_of(journal((1, 1, 60), (1, 4, 900)), profile(**known))["pace"] == 1.5
    assert queueing_us_of(journal((1, 4, 900)), profile(**known))["pace"] is None


def test_few_launches_and_a_profile_that_does_not_know_tell_none() -> None:
    few = Journal(1)
    few.queued(Launch(0, 0, 0, 0, 1, Place(0, 0, 1), (0,), (0, 0)), 60_000)
    assert queueing_us_of(few, profile(queueing_us=40)) == {
        "p50": 60.0, "p99": 60.0, "whole": None, "first": None, "pace": None,
    }  # fmt: skip
    assert queueing_us_of(journal((1, 1, 60)), profile())["pace"] is None
    assert set(queueing_us_of(Journal(1), profile()).values()) == {None}
