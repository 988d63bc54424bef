from __future__ import annotations

import pytest

from dvabatch.reporting.page.verdict import AtLoad, Outcome, outcome_of
from tests.reporting.page.comparisons import row, standing


def test_an_interval_decides_and_nothing_else() -> None:
    assert outcome_of(row("AUTO", 0.5, 0.9)) is Outcome.SOONER
    assert outcome_of(row("AUTO", 0.5, 1.1)) is Outcome.LATER
    assert outcome_of(row("AUTO", 0.5, 0.9, 0.2)) is Outcome.OPEN
    assert outcome_of(row("AUTO", 0.5, 0.1, None)) is Outcome.OPEN
    assert outcome_of(row("AUTO", 0.5, 1.01, 0.01)) is Outcome.OPEN  # an interval that ends at 1 includes it


def test_the_best_policy_of_each_load_is_the_one_with_the_lowest_ratio_by_rising_rate() -> None:
    found = standing(row("AUTO", 0.9, 0.9), row("LOAD", 0.9, 0.8), row("AUTO", 0.2, 1.1), row("LOAD", 0.2, 1.3))
    assert [(each.policy, each.ratio) for each in found.best] == [("AUTO", 1.1), ("LOAD", 0.8)]
    assert found.policies == ("AUTO", "LOAD")
    assert len(found.points) == 4


def test_the_harder_baseline_counts() -> None:
    (best,) = standing(row("AUTO", 0.7, 0.7), row("AUTO", 0.7, 1.6, baseline_role="untuned")).best
    assert (best.hardest["baseline_role"], best.outcome) == ("untuned", Outcome.LATER)
    (best,) = standing(row("AUTO", 0.7, 1.6, baseline_role="untuned"), row("AUTO", 0.7, 1.6)).best
    assert best.hardest["baseline_role"] == "swept"


def test_a_policy_that_wins_over_a_weak_baseline_alone_is_not_the_best() -> None:
    rows = [row("AUTO", 0.7, 0.9), row("AUTO", 0.7, 0.95, baseline_role="untuned")]
    rows += [row("LOAD", 0.7, 0.2), row("LOAD", 0.7, 3.0, baseline_role="untuned")]
    assert [each.policy for each in standing(*rows).best] == ["AUTO"]


def test_who_answers_fewer_does_worse_than_who_answers_late() -> None:
    few = {"answered": 0.9, "baseline_answered": 1.0}
    assert outcome_of(row("AUTO", 0.5, 0.5, **few)) is Outcome.FEWER
    found = standing(row("AUTO", 0.7, None, **few), row("LOAD", 0.7, 3.0))
    assert [(each.policy, each.outcome) for each in found.best] == [("LOAD", Outcome.LATER)]
    assert (found.compared, found.left_out) == (2, 0)
    (best,) = standing(row("AUTO", 0.7, 0.5), row("AUTO", 0.7, None, baseline_role="untuned", **few)).best
    assert (best.outcome, best.hardest["baseline_role"]) == (Outcome.FEWER, "untuned")
    (best,) = standing(row("LOAD", 0.7, None, **few | {"answered": 0.2}), row("AUTO", 0.7, None, **few)).best
    assert best.policy == "AUTO"


def test_ordinary_batching_stands_only_where_there_is_nothing_else() -> None:
    assert standing(row("NORMAL", 0.5, 0.5), row("AUTO", 0.5, 1.2)).policies == ("AUTO",)
    assert standing(row("NORMAL", 0.5, 0.5)).policies == ("NORMAL",)


def test_what_is_invalid_or_has_no_ratio_is_left_out() -> None:
    found = standing(row("AUTO", 0.5, 0.1, valid=False), row("AUTO", 0.8, 1.2), row("AUTO", 0.9, None))
    assert (found.compared, found.left_out, len(found.best)) == (2, 1, 1)


def test_a_point_without_a_comparison_is_none() -> None:
    with pytest.raises(ValueError, match="no comparison"):
        AtLoad({})
