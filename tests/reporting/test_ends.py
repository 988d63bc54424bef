"""How queries ended, in numbers and in words."""

from __future__ import annotations

from typing import Any

import pytest

from dvabatch.reporting.ends import ends_of, share_text, unanswered_lines


def run(policy: str = "AUTO", rate: float = 100.0, *, completed: int = 100, **more: Any) -> dict[str, Any]:
    """A run of 100 queries and more."""
    ends = {how: more.pop(how, 0) for how in ("rejected", "failed", "cancelled")}
    load = {"process": "poisson", "request_rate_rps": rate, "utilization": None, "seed": 1}
    counts = {"offered": completed + sum(ends.values()), "completed": completed, **ends}
    return {"policy": {"scheduler_type": policy}, "role": "policy", "load": load, "counts": counts, **more}


def test_all_answered_has_nothing_to_tell() -> None:
    ends = ends_of([run(), run(reasons={"queue full": 0}, faults=None)])
    assert (ends.offered, ends.completed, ends.answered) == (200, 200, 1.0)
    assert (ends.unanswered, ends.reasons, ends.launches_given_up) == ({}, {}, 0)
    assert ends.in_words() is None
    assert ends_of([]).answered == 1.0


def test_what_did_not_complete_is_told_with_its_reasons_the_most_frequent_first() -> None:
    one = run(completed=60, rejected=30, failed=10, reasons={"stage 2 failed": 10, "queue full": 30})
    other = run(completed=90, cancelled=10, reasons={"cancelled": 10}, faults={"launches_given_up": 1})
    ends = ends_of([one, other])
    assert ends.in_words() == (
        "50 of 200 queries got no answer, 75.0 % did: 30 rejected, 10 failed, 10 cancelled;"
        ' why: 30 "queue full", 10 "cancelled", 10 "stage 2 failed"; 1 launch given up'
    )
    assert ends.to_json() == {
        "offered": 200,
        "completed": 150,
        "answered": 0.75,
        "unanswered": {"rejected": 30, "failed": 10, "cancelled": 10},
        "reasons": {"queue full": 30, "stage 2 failed": 10, "cancelled": 10},
        "launches_given_up": 1,
    }


def test_launches_that_cost_no_query_are_told_too() -> None:
    assert ends_of([run(faults={"launches_given_up": 2})]).in_words() == "2 launches given up"


def test_of_many_reasons_the_rest_is_counted() -> None:
    words = ends_of([run(completed=0, failed=66, reasons={f"reason {each}": each for each in range(1, 12)})]).in_words()
    assert words is not None
    assert words.endswith('4 "reason 4", and 3 more reasons')


def test_a_line_for_each_policy_over_its_loads_and_none_for_who_answers_all() -> None:
    runs = [run("AUTO", rate, completed=90, rejected=10) for rate in (50.0, 100.0)] + [run("NORMAL")]
    assert unanswered_lines({"runs": runs}) == ["AUTO: 20 of 200 queries got no answer, 90.0 % did: 20 rejected"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.99999, "> 99.9 %"), (0.9994, "99.9 %"), (0.4664, "46.6 %"), (0.0, "0.0 %")],
)
def test_a_share_is_100_percent_only_where_it_is_all(share: float, text: str) -> None:
    assert share_text(share) == text
