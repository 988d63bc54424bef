from __future__ import annotations

from dvabatch_cli.studies import STUDIES, estimate
from dvabatch_cli.studies.fidelity import RUNS
from dvabatch_cli.studies.tables import RUNS as TABLED


def test_estimates_add_up_and_share_nothing() -> None:
    runs = list(TABLED.values())
    each = [estimate.of_runs([run], quick=False) for run in runs]
    whole = estimate.of_runs(runs, quick=False)
    assert whole.points == sum(one.points for one in each) == 315 + 315 + 385
    assert whole.seconds == sum(one.seconds for one in each)
    assert whole.size_bytes > 100e6


def test_a_measured_run_is_bound_by_the_time_that_its_points_may_last() -> None:
    measured, simulated = RUNS["resnet_152"], next(iter(TABLED.values()))
    lasting_s = 3 * 2 * 5 * 20  # loads, seeds, contenders, seconds
    assert estimate.of_runs([measured], quick=False).seconds > lasting_s
    assert estimate.of_runs([simulated], quick=False).seconds < 10 * lasting_s


def test_a_quick_run_is_a_matter_of_seconds() -> None:
    for study in STUDIES.values():
        for run in study.runs:
            assert estimate.of_runs([run], quick=True).seconds < 60
