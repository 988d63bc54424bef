"""Batch sizes as a run went on: taken from the recorded trace, drawn stage by stage below the arrivals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .errors import ReportError
from .figure_parts import looks_of
from .series import points

BIN_MS: Final = 10.0
_NS_PER_MS: Final = 1e6
_MOST_BINS: Final = 1 << 20  # three hours


def launches_of(lines: Iterable[str]) -> dict[str, Any]:
    """What the figure needs of a trace: `launches`, each [ms, first stage, last stage, rows], and `arrivals`, queries by
    bins of `bin_ms`. Times count from the run's first instant.

    Raises:
        ReportError: a line is none of a trace.
    """
    launches: list[list[float]] = []
    arrivals: list[int] = []
    for number, line in enumerate(lines, 1):
        try:
            call = json.loads(line)
            if "trace" in call:
                continue  # the header
            for name, *fields in call["events"]:
                if name == "QueryArrived":
                    place = int(fields[0][1] / _NS_PER_MS / BIN_MS)
                    if fields[0][1] < 0 or place >= _MOST_BINS:
                        raise ValueError(
                            f"a query arrives at {fields[0][1] / _NS_PER_MS:g} ms, wanted 0 to {_MOST_BINS * BIN_MS:g}"
                        )
                    arrivals += [0] * (place + 1 - len(arrivals))
                    arrivals[place] += 1
            for name, *fields in call["commands"]:
                if name == "Launch":
                    _, _, _, first, last, _, query_ids, *_ = fields
                    launches.append([round(call["now_ns"] / _NS_PER_MS, 4), first, last, len(query_ids)])
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise ReportError(f"line {number} of the trace is damaged: {error}; run it anew") from error
    return {"bin_ms": BIN_MS, "arrivals": arrivals, "launches": launches}


def batches_figure(report: Mapping[str, Any], by_policy: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """A column for each policy: arrivals above, then each stage's launches by time and rows."""
    if not any(each["launches"] for each in by_policy.values()):
        return None
    stages = 1 + max(launch[2] for each in by_policy.values() for launch in each["launches"])
    highest = max(launch[3] for each in by_policy.values() for launch in each["launches"])
    looks = looks_of(points(report["runs"]))
    figure = Figure(figsize=(1.2 + 3.4 * len(by_policy), 1.4 + 1.5 * (stages + 1)), layout="constrained")
    grid = figure.subplots(stages + 1, len(by_policy), squeeze=False, sharex=True, sharey="row")
    for column, (policy, each) in enumerate(by_policy.items()):
        top = grid[0][column]
        rates = [count / each["bin_ms"] for count in each["arrivals"]]
        edges = [each["bin_ms"] * place for place in range(len(rates) + 1)]
        top.stairs(rates, edges, color="#555555", fill=True, alpha=0.35)
        top.set_title(policy)
        for stage in range(stages):
            axes = grid[stage + 1][column]
            here = [(ms, rows) for ms, first, last, rows in each["launches"] if first <= stage <= last]
            axes.plot(
                [ms for ms, _ in here],
                [rows for _, rows in here],
                color=looks[policy].colour,
                marker="o",
                markersize=2,
                linestyle="none",
                alpha=0.6,
                markeredgewidth=0,
            )
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.set_ylim(0, 1.08 * highest)
        grid[-1][column].set_xlabel("time (ms)")
    grid[0][0].set_ylabel("arrivals a ms")
    for stage in range(stages):
        grid[stage + 1][0].set_ylabel(f"rows at\nstage {stage}")
    return figure


def batch_metrics(by_policy: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """`mean_rows.auto.1`: the mean batch at each stage, launch by launch."""
    metrics = {}
    for policy, each in by_policy.items():
        stages = 1 + max((launch[2] for launch in each["launches"]), default=-1)
        for stage in range(stages):
            rows = [size for _, first, last, size in each["launches"] if first <= stage <= last]
            if rows:
                metrics[f"mean_rows.{policy.lower()}.{stage}"] = sum(rows) / len(rows)
    return metrics
