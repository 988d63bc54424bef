"""What the simulator says over what was measured: the same policies on the same schedules, at the speed of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.figure import Figure

from .curves import load_axis, load_of
from .errors import ReportError
from .figure_parts import legend, looks_of, note_handle, rows_of, say
from .series import Point, points

BANDS: Final = (0.07, 0.15)
_WHAT: Final = {"mean": "mean", "p99": "99th percentile"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One policy at one load, measured and simulated, over the schedules that both met."""

    measured: Point
    simulated: Point

    @property
    def left_out(self) -> bool:
        """Whether the measurement is invalid, or the machine's speed changed meanwhile or is not known: nothing can be held
        against it."""
        return bool(self.measured.invalid) or not all(run["twin"]["steady"] for run in self.measured.runs)

    def ratio(self, number: str) -> float | None:
        """Simulated over measured; None where a percentile has too few answers."""
        over, under = self.simulated.average("response_ms", number), self.measured.average("response_ms", number)
        return None if over is None or not under else over / under


def pairs(report: Mapping[str, Any]) -> list[Pair]:
    """Every policy at every load of a report whose points were simulated as well.

    Raises:
        ReportError: a run has no twin.
    """
    found = []
    for point in points(report["runs"]):
        if any(run.get("twin") is None for run in point.runs):
            raise ReportError(
                f"{report['name']} has a run of {point.policy} at {point.load_label} without a twin: "
                "measure it with checks.twin set to true"
            )
        twins = tuple({**run, "response_ms": run["twin"]["response_ms"]} for run in point.runs)
        found.append(Pair(point, Point(point.policy, point.role, twins)))
    return found


def fidelity_metrics(found: Mapping[str, Sequence[Pair]]) -> dict[str, float]:
    """`mean.resnet_152.normal.30` and the like: ratios. `worst_mean` and `worst_p99`: the largest distance from 1.

    Points whose measurement is invalid, or whose host was unsteady, stand in no `worst`; `left_out` counts them. Nor does a
    point with too few answers for a p99 stand in `worst_p99`; `without_p99` counts those, left out or not.
    """
    metrics: dict[str, float] = {}
    for number in _WHAT:
        distances = []
        for network, each in found.items():
            for pair in each:
                ratio = pair.ratio(number)
                if ratio is None:
                    continue
                load = pair.measured.load_label.split()[0]
                metrics[f"{number}.{network}.{pair.measured.policy.lower()}.{load}"] = ratio
                if not pair.left_out:
                    distances.append(abs(ratio - 1))
        if distances:
            metrics[f"worst_{number}"] = max(distances)
    every = [pair for each in found.values() for pair in each]
    metrics["left_out"] = float(sum(pair.left_out for pair in every))
    metrics["without_p99"] = float(sum(pair.ratio("p99") is None for pair in every))
    return metrics


def fidelity_figure(found: Mapping[str, Sequence[Pair]]) -> Figure | None:
    """Simulated over measured against the load, a row for each model: mean and p99, with the bands that are aimed at."""
    found = {title: each for title, each in found.items() if each}
    if not found:
        return None
    every = [pair.measured for each in found.values() for pair in each]
    looks = looks_of(every)
    figure, rows = rows_of(list(found), len(_WHAT))
    for title, panels in rows.items():
        shown = [pair.measured for pair in found[title]]
        relative = all(point.load["utilization"] is not None for point in shown)
        for axes, (number, what) in zip(panels, _WHAT.items(), strict=True):
            for band, shade in zip(reversed(BANDS), ("#F1F1F1", "#E0E6EE"), strict=True):
                axes.axhspan(1 - band, 1 + band, color=shade, zorder=0)
            ratios = [pair.ratio(number) for pair in found[title]]
            for place, (policy, look) in enumerate(looks.items()):
                for point, ratio in zip(shown, ratios, strict=True):
                    if point.policy == policy and ratio is not None:
                        x = load_of(point, relative) * (1 + 0.01 * (place - (len(looks) - 1) / 2))
                        axes.plot([x], [ratio], color=look.colour, marker=look.marker, markersize=5, linestyle="none")
                        if point.invalid:
                            axes.plot([x], [ratio], marker="x", color="#222222", markersize=9, markeredgewidth=1.6)
            known = [abs(ratio - 1) for ratio in ratios if ratio is not None]
            if known:
                axes.axhline(1, color="#222222", linewidth=1)
            else:
                say(axes, "too few answers for it")
            far = max([0.2, *(1.1 * distance for distance in known)])
            axes.set_ylim(max(0.0, 1 - far), 1 + far)
            load_axis(axes, shown, relative)
            axes.set_title(f"{title}: {what}")
            axes.set_ylabel("simulated / measured")
    notes = [note_handle("x", "#222222", "INVALID measurement")] if any(point.invalid for point in every) else []
    legend(figure, looks, notes, lines=False)
    return figure
