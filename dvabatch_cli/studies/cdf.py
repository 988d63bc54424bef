"""Figure `cdf`: whole distributions of the response, not their means alone."""

from __future__ import annotations

from typing import Final

from dvabatch.reporting.load_grid import cdf_grid
from dvabatch.reporting.series import contenders
from dvabatch_cli.studies.study import Reports, Study
from dvabatch_cli.studies.tables import RUNS, titled

LOADS: Final = (0.3, 0.7, 0.95)
_LEVELS: Final = (50, 90, 99)


def _metrics(reports: Reports) -> dict[str, float]:
    """`p90_ms.unet.auto.70` and the like."""
    found: dict[str, float] = {}
    for network, run in RUNS.items():
        for point in contenders(reports[run.name]["runs"]):
            levels = point.cdf_ms()
            if levels is not None and point.load["utilization"] in LOADS:
                place = f"{network}.{point.policy.lower()}.{100 * point.load['utilization']:g}"
                found |= {f"p{level}_ms.{place}": levels[level] for level in _LEVELS}
    return found


STUDY = Study(
    "cdf",
    "the whole distribution of the response, at three loads",
    tuple(RUNS.values()),
    lambda reports: cdf_grid(titled(reports), LOADS),
    _metrics,
)
