"""What a report says of the model, the engines and the profile."""

from __future__ import annotations

from typing import Any

from dvabatch_cli.config import Config
from dvabatch_cli.ground import Ground

_REPORTED = ("transfer_us_per_row", "wake_us")  # costs that a report names whatever they are, and a table does not


def model_facts(ground: Ground) -> dict[str, Any] | None:
    """The report's `model`; None for a latency table."""
    if ground.prepared is None:
        return None
    manifest = ground.prepared.manifest
    stages = [
        {
            "index": stage.index,
            "file": stage.file,
            "sha256": stage.sha256,
            "nodes": stage.nodes,
            "inputs": [tensor.name for tensor in stage.inputs],
            "outputs": [tensor.name for tensor in stage.outputs],
            "crossing_bytes_per_row": stage.crossing_bytes_per_row,
            "favored_batch": stage.favored_batch,
        }
        for stage in manifest.stages
    ]
    return {"name": manifest.name, "sha256": manifest.model_sha256, "stages": stages}


def ground_digests(ground: Ground) -> dict[str, Any]:
    """What a config names and does not hold: points on other stages, or on another profile, are not to be mixed."""
    prepared = ground.prepared
    stages = [] if prepared is None else [stage.sha256 for stage in prepared.manifest.stages]
    return {"stages": stages, "profile": ground.profile.digest}


def engine_facts(config: Config, ground: Ground) -> dict[str, Any]:
    """The report's `engine`."""
    if ground.prepared is None:
        return {
            "backend": "table", "precision": None, "version": ground.profile.name, "max_batch": config.engine.max_batch,
            "build_s": 0.0, "cached": False,
        }  # fmt: skip
    prepared = ground.prepared
    engines = prepared.engines
    return {
        "backend": prepared.backend,
        "precision": prepared.precision,
        "version": prepared.version,
        "max_batch": config.engine.max_batch,
        "build_s": round(sum(engine.build_s for engine in engines), 3),
        "cached": all(engine.hit for engine in engines),
    }


def profile_facts(ground: Ground) -> dict[str, Any]:
    """The report's `profile`."""
    profile = ground.profile
    costs = profile.costs
    table = profile.to_table()
    whole = {
        str(length): {f"{size:g}": ms for size, ms in curve.points}
        for length, curve in zip(profile.lanes, profile.whole, strict=True)
        if curve is not None
    }
    crowding = {
        str(length): {
            str(size): {f"{at_once:g}": slow for at_once, slow in curve.points}
            for size, curve in of_lane.by_size.items()
        }
        for length, of_lane in zip(profile.lanes, profile.crowding or (), strict=profile.crowding is not None)
    }
    return {
        "stages": [
            {
                "stage": stage,
                "lane": length,
                "latency_ms": {f"{size:g}": ms for size, ms in curves.latency_ms.points},
                "share": {f"{size:g}": share for size, share in curves.share.points},
            }
            for length, lane in zip(profile.lanes, profile.curves, strict=True)
            for stage, curves in enumerate(lane)
        ],
        "batch_sizes": [int(size) for size, _ in profile.curves[0][0].latency_ms.points],
        **dict.fromkeys(_REPORTED, 0.0),
        **costs.table_us(),
        "one_host": costs.one_host,
        "cores": costs.cores or None,
        "slowdown": table.get("slowdown"),
        "crowding": crowding.get("None", crowding) or None,
        "sm_mhz": table.get("sm_mhz"),
        "clock_power": table.get("clock_power"),
        "whole": whole.get("None", whole) or None,
        "slicing_tax": dict(ground.slicing_tax) or None,
        "capacity_rps": ground.capacity_rps,
    }
