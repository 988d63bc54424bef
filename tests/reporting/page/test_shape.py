from __future__ import annotations

from typing import Any

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.page.shape import check


def test_a_report_is_as_it_should_be(whole: dict[str, Any]) -> None:
    check(whole)
    check({**whole, "model": None, "profile": None, "correctness": None, "runs": [], "comparison": []})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("name",), 3, "name of the report is 3, wanted a valid string: it is damaged; write it anew"),
        (("runs", 0, "response_ms", "mean"), float("inf"), r"runs\[0\].response_ms.mean of the report is inf, wanted"),
        (("runs", 0, "response_ms", "mean"), -1.0, "wanted greater than or equal to 0"),
        (("runs", 0, "response_ms", "mean"), 1e300, "wanted less than or equal to"),
        (("runs", 0, "response_ms", "mean"), 1e-300, "wanted 0 or at least 1e-09"),
        (("runs", 1, "response_cdf_ms"), [1.0], r"runs\[1\].response_cdf_ms"),
        (("runs", 0, "role"), "king", "wanted 'policy', 'untuned' or 'swept'"),
        (("runs", 0, "valid"), 1, "wanted a valid boolean"),
        (("runs", 0, "policy", "name"), "x" * 201, "at most 200 characters"),
        (("runs", 0, "stages", 0, "batch_histogram"), {"many": 1}, "many"),
        (("runs", 0, "operations"), {"new": 0.5}, "operations.new of the report is 0.5, wanted a valid integer"),
        (("comparison", 0, "ratio_ci95"), [1.0], "ratio_ci95"),
        (("profile", "stages", 0, "latency_ms"), {}, "latency_ms"),
        (("model", "stages"), None, "model.stages of the report is None"),
        (("environment",), [], "environment of the report is"),
    ],
)
def test_what_is_wrong_is_named(
    small: dict[str, Any], whole: dict[str, Any], path: Any, value: Any, message: str
) -> None:
    small["profile"] = whole["profile"] | {"stages": [dict(whole["profile"]["stages"][0])]}
    place: Any = small
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ReportError, match=message):
        check(small)
