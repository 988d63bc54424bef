"""What crowding takes from AUTO's lead over an untuned server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.uncrowded import gains, main, without_crowding

RESULTS = Path(__file__).parents[2] / "results"


def test_a_device_without_crowding_leaves_more_to_win() -> None:
    report = json.loads((RESULTS / "resnet_152_gpu" / "report.json").read_text())
    report["runs"] = [run for run in report["runs"] if run["load"]["utilization"] == 0.1]
    (gain,) = gains(report)
    assert gain.utilization == 0.1
    assert 0 < gain.crowded < gain.uncrowded <= gain.best_uncrowded < 1
    means = {run["policy"]["name"]: run["response_ms"]["mean"] for run in report["runs"]}
    assert gain.measured == 1 - means["AUTO"] / means["untuned"]
    assert gain.line.startswith(
        f" 10%  under untuned: AUTO measured {gain.measured:.0%}, simulated {gain.crowded:.0%}, "
    )


@pytest.mark.parametrize(
    ("crowding", "alone"),
    [
        ({"1": {"2": 1.3}, "4": {"2": 1.9}}, {"1": {"2": 1.0}, "4": {"2": 1.0}}),
        ({"32": {"1": {"2": 1.3, "4": 1.5}}}, {"32": {"1": {"2": 1.0, "4": 1.0}}}),
    ],
)
def test_every_curve_is_flat_then_whatever_lanes_there_are(
    crowding: dict[str, object], alone: dict[str, object]
) -> None:
    report = {"profile": {"name": "p", "crowding": crowding}, "runs": []}
    assert without_crowding(report) == {"profile": {"name": "p", "crowding": alone}, "runs": []}
    assert report["profile"]["crowding"] is crowding  # type: ignore[index]


def test_a_profile_that_knows_no_crowding_has_nothing_to_leave_out(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"profile": {}}))
    with pytest.raises(SystemExit, match="no crowding, nothing to leave out; give the results of a run on a GPU"):
        main(tmp_path)
