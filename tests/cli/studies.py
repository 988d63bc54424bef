"""A study on a small latency table, with the figure's files and reports made by hand where a test needs them."""

from __future__ import annotations

from pathlib import Path

from dvabatch.reporting.load_grid import load_grid
from dvabatch.reporting.ratios import ratio_metrics
from dvabatch_cli.studies import Reports, Run, Study
from tests.cli.command import LOAD, NORMAL, table_config

CONFIG = "small_study.json"


def small_study(folder: Path, *, trace: bool = False) -> Study:
    """Two policies and a baseline at two loads; its config lies in `folder`/configs."""
    load = {"process": "poisson", "utilization": [0.2, 0.6], "num_requests": 500}
    (folder / "configs").mkdir()
    made = table_config(folder / "configs", policies=[NORMAL, LOAD], baselines=["untuned"], load=load)
    made.rename(made.with_name(CONFIG))
    run = Run("small", CONFIG, simulated=True, trace=trace, quick=("load.num_requests=400",))

    def metrics(reports: Reports) -> dict[str, float]:
        return ratio_metrics(reports["small"], "small", "untuned")

    return Study("latency", "small", (run,), lambda reports: load_grid({"small": reports["small"]}), metrics)
