"""Comparisons made by hand: what a report would have of them."""

from __future__ import annotations

from typing import Any

from dvabatch.reporting.page.verdict import Standing, standing_of

OPTIONS = {"AUTO": "AUTO", "LOAD": "LOAD_DVA", "NORMAL": "NORMAL"}


def row(
    policy: str, utilization: float, ratio: float | None, spread: float | None = 0.01, **more: Any
) -> dict[str, Any]:
    interval = None if ratio is None or spread is None else [ratio - spread, ratio + spread]
    load = {"process": "poisson", "request_rate_rps": 100 * utilization, "utilization": utilization}
    usual: dict[str, Any] = {"answered": 1.0, "baseline_answered": 1.0}
    usual |= {"valid": True, "saturated": False, "baseline_saturated": False, "seeds": 5, "baseline_role": "swept"}
    return {"policy": policy, "load": load, "ratio": ratio, "ratio_ci95": interval} | usual | more


def standing(*rows: dict[str, Any]) -> Standing:
    """Of a report with these comparisons, and runs of AUTO, LOAD and NORMAL."""
    runs = [{"policy": {"scheduler_type": kind, "name": name}} for name, kind in OPTIONS.items()]
    return standing_of({"runs": runs, "comparison": list(rows)})
