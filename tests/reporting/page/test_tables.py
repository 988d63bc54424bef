from __future__ import annotations

import copy
import re
from typing import Any

from dvabatch.reporting.page.tables import by_load, comparison_section, runs_section
from dvabatch.reporting.table import run_rows
from tests.reporting.page.conftest import Reader


def test_policies_at_one_load_stand_together_by_rising_rate(whole: dict[str, Any]) -> None:
    groups = by_load(run_rows(whole))
    assert [title.partition(":")[0] for title, _ in groups] == [f"{share} % of the capacity" for share in (60, 120)]
    assert all(len(rows) == 5 for _, rows in groups)


def test_the_lowest_valid_mean_of_each_load_is_bold(whole: dict[str, Any]) -> None:
    assert runs_section(whole).count("<b>") == 2
    broken = copy.deepcopy(whole)
    for run in broken["runs"]:
        run["valid"] = False
    text = runs_section(broken)
    assert "<b>" not in text
    assert "INVALID" in text


def test_who_refuses_queries_is_not_the_fastest_of_a_load(small: dict[str, Any]) -> None:
    fastest = min(small["runs"], key=lambda run: run["response_ms"]["mean"])
    text = Reader(runs_section(small)).text
    assert "answered" not in text.replace("were answered", "")
    fastest["counts"] |= {"completed": 700, "rejected": 300}
    section = runs_section(small)
    (bold,) = re.findall(r"<b>([0-9.]+)", section)
    assert float(bold) > fastest["response_ms"]["mean"] + 0.001
    assert "70.0 %" in section
    assert "of those that answer as many queries as the others" in section


def test_the_untuned_setting_is_that_of_its_runs(small: dict[str, Any]) -> None:
    assert "as it is often left: batches up to 2. A gain" in comparison_section(small)
    for run in small["runs"]:
        run["policy"] |= {"max_batch_size": 8, "max_queue_delay_microseconds": 500}
    assert "as it is often left: batches up to 8, a delay of 0.5 ms. A gain" in comparison_section(small)


def test_a_comparison_of_who_answers_fewer_shows_no_ratio(small: dict[str, Any]) -> None:
    for row in small["comparison"]:
        row |= {"ratio": None, "ratio_ci95": None, "p": None, "p99_ratio": None, "answered": 0.5}
    text = Reader(comparison_section(small)).text
    assert text.count("fewer answers") == len(small["comparison"])
    assert "sooner" not in text.replace("the policy answers sooner", "")


def test_a_percentile_without_support_says_what_it_needs(small: dict[str, Any]) -> None:
    for run in small["runs"]:
        run["response_ms"]["p99"] = None
        run["goodput_rps"] = None
    text = Reader(runs_section(small)).text
    assert "n/a (needs 368)" in text
    assert "in time/s" not in text


def test_every_comparison_is_there_with_its_outcome_in_words(whole: dict[str, Any]) -> None:
    section = comparison_section(whole)
    assert len(re.findall(r'<svg viewBox="0 0 120 16"', section)) == len(whole["comparison"])
    assert section.index("Against swept batching") < section.index("Against untuned batching")
    text = Reader(section).text
    assert all(
        word in text for word in ("sooner", "later", "3 of the 5 seeds that a claim asks for", "over 5 seeds or more")
    )
    for row in whole["comparison"]:
        assert (f"{row['ratio']:.3f}" if row["ratio"] < 10 else f"{row['ratio']:,.1f}") in text


def test_an_interval_that_leaves_the_scale_is_cut_at_its_end(small: dict[str, Any]) -> None:
    for row in small["comparison"]:
        row |= {"ratio": 100.0, "ratio_ci95": [0.0, 1e9]}
    section = comparison_section(small)
    assert 'x1="6" x2="114"' in section
    assert 'cx="114"' in section


def test_missing_numbers_are_dashes_and_flags_are_words(small: dict[str, Any]) -> None:
    small["comparison"][0] |= {"ratio": None, "ratio_ci95": None, "p": None, "p99_ratio": None, "valid": False}
    small["comparison"][0] |= {"saturated": True, "baseline_saturated": True}
    text = Reader(comparison_section(small)).text
    assert "INVALID policy and baseline saturated" in text
    assert " - " in text


def test_without_a_baseline_it_says_so(small: dict[str, Any]) -> None:
    assert "No baseline was run" in comparison_section({**small, "comparison": []})
