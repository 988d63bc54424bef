from __future__ import annotations

from typing import Any

from dvabatch.reporting.page.soundness import answers_section, validity_section
from dvabatch.reporting.series import points
from tests.reporting.page.conftest import Reader


def told(report: dict[str, Any]) -> str:
    return Reader(validity_section(report, points(report["runs"]))).text


def test_a_sound_report_says_so(small: dict[str, Any]) -> None:
    text = told(small)
    assert "All 3 runs are valid : in virtual time no sender is late." in text
    assert "No policy was saturated" in text
    assert "All 3,000 queries were answered." in text


def test_what_was_invalid_is_listed_with_its_reason(small: dict[str, Any]) -> None:
    small["runs"][2] |= {"valid": False, "invalid_reasons": ["the sender was late: by 3 ms"], "attempts": 3}
    text = told(small)
    assert "1 of 3 runs are INVALID" in text
    assert "LOAD_DVA 60 % 1 the sender was late: by 3 ms" in text
    assert "1 of 3 runs were measured more than once" in text


def test_saturation_is_a_finding_and_folded_where_it_is_long(whole: dict[str, Any], small: dict[str, Any]) -> None:
    assert "policies at a load are saturated" in told(whole)
    for run in small["runs"]:
        run["saturated"] = True
    assert "LOAD_DVA 60 % 1/1" in told(small)
    assert "details" not in Reader(validity_section(small, points(small["runs"]))).elements


def test_an_unsteady_host_and_clocks_are_told(small: dict[str, Any]) -> None:
    small["runs"][0]["twin"] = {"speed": [1.0, 1.3], "disturbance": [1.0, 1.02], "steady": False}
    small["runs"][1]["gpu"] = {"clocks_changed": True, "throttled": None}
    text = told(small)
    assert "At 1 of 3 runs the host was unsteady" in text
    assert "changed by up to 30 % meanwhile" in text
    assert "1.000 then 1.300; 1.000 then 1.020" in text
    assert "The GPU's clocks changed during 1 of 1 runs" in text
    assert "held down" not in text
    small["runs"][0]["twin"] = {"speed": [1.0, 1.01], "disturbance": [1.0, 1.09], "steady": False}
    assert "changed by up to 9 % meanwhile" in told(small)
    small["runs"][0]["twin"] = {"speed": [1.0, 0.96], "steady": True}
    small["runs"][2]["twin"] = {"speed": None, "steady": False}  # too few launches to tell
    assert "The host was steady: its speed changed by 4.17 % at most over a run." in told(small)


def test_queries_without_an_answer_are_told_with_their_reasons(small: dict[str, Any]) -> None:
    small["runs"][0]["counts"] |= {"completed": 991, "rejected": 7, "failed": 2}
    small["runs"][0]["reasons"] = {"queue full": 7, "device lost": 2}
    text = told(small)
    assert "Not answered of 3,000 queries: 7 rejected, 2 failed" in text
    assert (
        '9 of 1,000 queries got no answer, 99.1 % did: 7 rejected, 2 failed; why: 7 "queue full", 2 "device lost"'
        in text
    )
    small["runs"][1]["faults"] = {"injected": {}, "launches_given_up": 1}
    assert "1 launch given up" in told(small)


def test_a_measured_report_speaks_of_its_senders(small: dict[str, Any]) -> None:
    for run in small["runs"]:
        run["admission"] = "pull"
    assert "every sender was on time" in told(small)


def test_checked_answers_are_told(small: dict[str, Any]) -> None:
    text = Reader(answers_section(small)).text
    assert "640 answers" in text
    assert "all were right" in text
    assert "2e-06, where at most 0.0001 is allowed" in text
    small["correctness"]["passed"] = False
    assert "some were WRONG" in answers_section(small)
    assert "No answer was checked: a simulation has none" in answers_section({**small, "correctness": None})
