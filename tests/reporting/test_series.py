from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from dvabatch.reporting.measured import Measured
from dvabatch.reporting.series import Point, mean_rows, points, rows_at
from dvabatch.reporting.summary import summarise

MakeMeasured = Callable[..., Measured]


def test_runs_of_one_policy_and_load_are_one_point(make_measured: MakeMeasured) -> None:
    runs = [summarise(make_measured(load=load, seed=seed)) for load in (0.6, 0.3) for seed in (1, 2)]
    runs.append(summarise(make_measured(load=0.3, role="untuned")))
    found = points(runs)
    assert [(point.policy, point.load_label, len(point.runs)) for point in found] == [
        ("NORMAL", "30 %", 2),
        ("NORMAL", "60 %", 2),
        ("NORMAL (untuned)", "30 %", 1),
    ]
    means = [run["response_ms"]["mean"] for run in runs[2:4]]
    assert found[0].mean_ms == pytest.approx(sum(means) / 2)
    low, high = found[0].mean_ci95_ms or (0.0, 0.0)
    assert low == pytest.approx(max(0.0, sum(means) / 2 - 12.7062 * abs(means[0] - means[1]) / 2), rel=1e-4)
    assert high > max(means)
    assert found[2].mean_ci95_ms == tuple(runs[4]["response_ms"]["mean_ci95"])
    assert found[0].batches()[0] == {1: 1000}
    assert found[0].operations()["new"] == 1000


def test_a_number_that_one_seed_lacks_is_none(make_measured: MakeMeasured) -> None:
    runs = [summarise(make_measured(n=n)) for n in (500, 100)]
    point = Point("x", "policy", tuple(runs))
    assert point.average("response_ms", "p99") is None
    assert point.average("response_ms", "p95") is not None


def test_processes_are_told_apart_where_there_are_several(make_measured: MakeMeasured) -> None:
    runs = [summarise(make_measured()) for _ in range(2)]
    runs[1]["load"]["process"] = "gamma"
    assert [point.policy for point in points(runs)] == ["NORMAL, poisson", "NORMAL, gamma"]


def test_sizes_of_a_histogram() -> None:
    batches = Counter({1: 10, 4: 80, 32: 10})
    assert mean_rows(batches) == pytest.approx(6.5)
    assert [rows_at(batches, share) for share in (0.0, 0.1, 0.11, 0.9, 0.91, 1.0)] == [1, 1, 4, 4, 32, 32]
    assert (mean_rows(Counter()), rows_at(Counter(), 0.5)) == (None, None)


def test_a_point_without_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="has no run"):
        Point("x", "policy", ())
