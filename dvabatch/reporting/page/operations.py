"""What the policies did: operations, batches by stage, padding, and how busy the device was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dvabatch.reporting.series import Point, mean_rows

from .cells import policy_cell, share
from .markup import NOTHING, Column, Html, paragraph, section, table
from .tables import by_load

_KNOWN = ("new", "stretch", "merge", "split", "hold")


def operations_section(found: Sequence[Point]) -> Html:
    """A row for each policy and load."""
    if not found:
        return section("operations", "Operations and batches", paragraph("Nothing was measured."))
    names = list(dict.fromkeys((*_KNOWN, *(name for point in found for name in point.operations()))))
    columns = [
        Column("policy", numeric=False),
        *(Column(name) for name in names),
        Column("mean batch by stage", about="rows a launch; one number where all stages are alike"),
        Column("padding", about="the share of the rows computed that held nothing"),
        Column(
            "served whole",
            about="the share of the answers that went through all stages in one launch, as in ordinary batching",
        ),
        Column("device busy"),
    ]
    told = paragraph(
        "Operations are summed over the seeds: new batches, late queries stretched into one under way, merges, splits, and"
        " batches held at a boundary. A policy with none but new ones, all served whole, batches as ordinary batching does."
    )
    groups = [(title, [_cells(point, names) for point in group]) for title, group in _grouped(found)]
    return section(
        "operations", "Operations and batches", told, table("Operations by load and policy", columns, groups)
    )


def _grouped(found: Sequence[Point]) -> list[tuple[str, list[Point]]]:
    titled = by_load([{"point": point, **point.load} for point in found])
    return [(title, [row["point"] for row in rows]) for title, rows in titled]


def _cells(point: Point, names: Sequence[str]) -> list[str]:
    operations = point.operations()
    return [
        policy_cell(point.policy, point.role),
        *(f"{operations.get(name, 0):,}" for name in names),
        _batches(point),
        share(_mean([stage["padding_waste"] for run in point.runs for stage in run["stages"]])),
        share(_mean([run.get("served_whole") for run in point.runs])),
        share(_mean([_overhead(run).get("device_busy_fraction") for run in point.runs])),
    ]


def _overhead(run: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.get("overhead") or {}
    return found


def _batches(point: Point) -> str:
    stages = point.batches()
    alike = all(one == stages[0] for one in stages)
    means = [mean_rows(batches) for batches in (stages[:1] if alike else stages)]
    return " ".join(NOTHING if mean is None else f"{mean:.1f}" for mean in means) or NOTHING


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one of them is: of some only it would be another quantity."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
