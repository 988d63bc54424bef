"""What today's AUTO would make of a run: the run's own figures first, then those of settings tuned anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dvabatch_cli.halving import Round
from dvabatch_cli.tuning import Effort
from tests.bench.retuned import retuned
from tests.cli.command import dvabatch, report_of

LITTLE = Effort((0.3, 0.7), (Round(1_000, 60), Round(4, 200)), "", "no time to speak of")
# One query at a time, whatever comes.
POOR = [{"scheduler_type": "AUTO", "settings": [{"up_to": 1000, "max_batch_size": 1}]}]


def test_settings_tuned_anew_are_held_against_those_of_the_run(tmp_path: Path) -> None:
    changes = (
        "load.utilization=[0.3,0.7]", "load.seeds=[1]", "load.num_requests=300", 'baselines=["swept"]',
        f"policies={json.dumps(POOR)}",
    )  # fmt: skip
    sets = [word for change in changes for word in ("--set", change)]
    assert dvabatch("simulate", "resnet_152_table.json", "--quick", *sets, "-o", tmp_path).code in (0, 4)
    report = report_of(tmp_path)
    # As if launches were queued by a host, which was slow for the plain settings.
    report["profile"] |= {"launch_us": 200.0, "launch_busy_us": 200.0, "queueing_us": 100.0, "one_host": True}
    report["profile"]["launch_busy_us_per_row"] = 0.0
    for run in report["runs"]:
        run["queueing_us"] = {"pace": 2.0 if run["role"] == "swept" else 1.0}
    hosted = list(retuned(report, LITTLE))
    assert all(each.simulated < each.one_host for each in hosted)
    report = report_of(tmp_path)
    low, high = retuned(report, LITTLE)
    assert (low.utilization, high.utilization) == (0.3, 0.7)
    for each in (low, high):
        assert each.simulated == pytest.approx(each.measured, rel=1e-3)  # on the profile that it was simulated on
        assert each.one_host == each.simulated
    assert high.measured > 10
    assert 0.5 < high.anew < 1.5
    assert high.line.startswith(f" 70%  AUTO over the best plain setting: measured {high.measured:.3f}, simulated ")
