from __future__ import annotations

from typing import Any

import pytest

from dvabatch.reporting.page.answer import Answer, answer_of
from tests.reporting.page.comparisons import row, standing


def told_of(*rows: dict[str, Any]) -> Answer:
    return answer_of(standing(*rows), "a model")


def test_a_win_everywhere_is_told_where_it_is_the_largest() -> None:
    told = told_of(row("AUTO", 0.5, 0.9), row("AUTO", 0.8, 0.6, 0.05))
    assert told.question == "Does AUTO answer sooner than ordinary batching on a model?"
    assert told.answer == (
        "Yes: at each of 2 loads it answers sooner than ordinary batching at its best,"
        " most at 80 %, where the mean response of AUTO is 40 % lower (95 % interval 35 % to 45 %)."
    )
    assert told.remarks == ()


def test_what_is_lost_and_what_is_open_is_said_with_what_is_won() -> None:
    told = told_of(row("AUTO", 0.3, 1.5), row("AUTO", 0.5, 0.9), row("AUTO", 0.8, 1.0, 0.02))
    assert told.answer.startswith("In part: at a load of 50 % it answers sooner")
    assert (
        "At a load of 30 % even the best policy answers later, the mean response of AUTO is 50 % higher" in told.answer
    )
    assert "at a load of 80 % the difference is undecided, between 2.0 % lower and 2.0 % higher" in told.answer


def test_a_loss_everywhere_is_a_no() -> None:
    told = told_of(row("AUTO", 0.3, 1.5), row("LOAD", 0.3, 3.0), row("AUTO", 0.5, 4.0), row("LOAD", 0.5, 5.0))
    assert told.answer.startswith("No: at none of 2 loads does it answer sooner than ordinary batching")
    assert "the mean response of AUTO is 4 times as long (95 % interval 3.99 to 4.01 times)" in told.answer
    assert "AUTO and LOAD answer later than ordinary batching at its best wherever they are compared." in told.remarks
    assert any("The best of 2 policies is chosen at each load after the fact" in remark for remark in told.remarks)


def test_ordinary_batching_is_no_policy_that_wins_over_itself() -> None:
    told = told_of(row("NORMAL", 0.5, 0.5), row("AUTO", 0.5, 1.2))
    assert told.answer.startswith("No: at a load of 50 % it does not answer sooner")


def test_a_load_at_which_somebody_is_saturated_is_no_example_where_there_is_another() -> None:
    told = told_of(row("AUTO", 0.5, 0.9), row("AUTO", 0.9, 0.01, 0.001, baseline_saturated=True))
    assert "most at 50 % (of those where all keep up), where" in told.answer
    assert any(remark.startswith("At 90 % the policy or the baseline could not keep up") for remark in told.remarks)


def test_invalid_comparisons_count_nowhere_and_are_counted() -> None:
    told = told_of(row("AUTO", 0.5, 0.1, valid=False), row("AUTO", 0.8, 1.2))
    assert told.answer.startswith("No")
    assert told.remarks[0] == "1 of 2 comparisons rest on an INVALID run and are left out."
    nothing = told_of(row("AUTO", 0.5, 0.1, valid=False))
    assert nothing.answer == "This report does not say: no comparison is valid."


def test_a_gain_over_the_untuned_baseline_alone_is_told_as_such() -> None:
    told = told_of(row("AUTO", 0.5, 0.5, baseline_role="untuned"))
    assert "sooner than untuned ordinary batching" in told.answer
    assert told.remarks[0].startswith("No setting of ordinary batching was swept")
    assert len(told.remarks) == 1
    both = told_of(row("AUTO", 0.5, 1.2), row("AUTO", 0.5, 0.5, baseline_role="untuned"))
    assert both.answer.startswith("No")
    assert any(
        remark == "Against untuned batching, the weaker baseline, the same choice answers sooner: the mean response"
        " is 50 % lower." for remark in both.remarks
    )  # fmt: skip


def test_few_seeds_are_an_indication() -> None:
    assert any(
        "2 seeds where a claim asks for 5" in remark for remark in told_of(row("AUTO", 0.5, 0.5, seeds=2)).remarks
    )


def test_without_a_baseline_nothing_is_claimed() -> None:
    told = told_of()
    assert told.question == "How soon are queries answered on a model?"
    assert told.answer == "This report does not say: no baseline was run beside a policy."


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1e9])
def test_extreme_ratios_are_told(ratio: float) -> None:
    assert told_of(row("AUTO", 0.5, ratio, None)).answer.endswith(".")


def test_an_untuned_setting_that_is_the_better_one_is_what_counts() -> None:
    told = told_of(row("AUTO", 0.7, 0.7), row("AUTO", 0.7, 1.6, baseline_role="untuned"))
    assert told.answer.startswith("No: at a load of 70 % it does not answer sooner than ordinary batching at its best.")
    assert "the mean response of AUTO is 60 % higher" in told.answer
    assert told.remarks == ("At 70 % the untuned setting answers sooner than the swept one, and is what counts.",)


def test_an_untuned_setting_stands_in_where_no_swept_one_is_valid() -> None:
    told = told_of(row("AUTO", 0.7, 0.7, valid=False), row("AUTO", 0.7, 0.5, baseline_role="untuned"))
    assert told.remarks[1] == "At 70 % no comparison with a swept setting is valid: the untuned one stands in."


FEWER = {"ratio_ci95": None, "answered": 0.466, "baseline_answered": 1.0}


def test_a_policy_that_refuses_is_no_winner() -> None:
    told = told_of(row("AUTO", 0.5, None, **FEWER), row("AUTO", 0.8, 0.9))
    assert told.answer.startswith("In part: at a load of 80 % it answers sooner")
    assert told.answer.endswith(
        " At a load of 50 % even the best policy answers fewer of the queries, 46.6 % against 100 %, so that no ratio of the"
        " rest counts."
    )
    assert told.remarks[0].startswith("AUTO answers fewer of the queries than the baseline at some load")
    alone = told_of(
        row("AUTO", 0.5, None, saturated=True, **FEWER), row("AUTO", 0.8, None, **FEWER | {"answered": 0.2})
    )
    assert alone.answer.startswith("No: at none of 2 loads does it answer sooner")
    assert "at worst 20.0 % against 100 %" in alone.answer
    assert not any("depends on how long the run lasted" in remark for remark in alone.remarks)


def test_a_policy_that_refuses_beside_one_that_does_not_is_told() -> None:
    told = told_of(row("AUTO", 0.5, 1.2), row("LOAD", 0.5, None, **FEWER))
    assert told.answer.startswith("No")
    assert "the mean response of AUTO is 20 % higher" in told.answer
    assert any(remark.startswith("LOAD answers fewer of the queries") for remark in told.remarks)


def test_an_untuned_baseline_that_answers_more_says_nothing_of_sooner() -> None:
    told = told_of(row("AUTO", 0.5, 0.9), row("AUTO", 0.5, None, baseline_role="untuned", **FEWER))
    assert "even the best policy answers fewer" in told.answer
    assert not any("answers sooner" in remark for remark in told.remarks)


def test_queries_that_neither_answered_are_told() -> None:
    told = told_of(row("AUTO", 0.5, 0.9, answered=0.98, baseline_answered=0.975))
    assert told.remarks == (
        "Not every query got an answer at 50 % (98.0 % against 97.5 %): the ratio is over those that both sides answered.",
    )
