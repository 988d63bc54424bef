"""Configs that a search is soon over with, and what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.command import LOAD, NORMAL, dvabatch, table_config

ONE = {"backend": "table", "table": "table.json", "executors_per_stage": 1, "buffer_set_size": 1}
AT_ONCE = {**NORMAL, "max_queue_delay_microseconds": 0}
CONSTANT = {"process": "constant", "request_rate": 1, "num_requests": 4000}
POISSON = {"process": "poisson", "request_rate": 1, "num_requests": 400}


def one_server(folder: Path, latency_ms: dict[str, float], load: dict[str, Any], **options: Any) -> Path:
    """Ordinary batching, a batch at a time, on a table of one stage."""
    largest = max(map(int, latency_ms))
    return table_config(
        folder, table={"name": "one", "stages": [{"latency_ms": latency_ms}]}, slicing={"stages": 1},
        engine={**ONE, "max_batch": largest}, policies=[{**AT_ONCE, **options}], load=load,
    )  # fmt: skip


def small(folder: Path, **sections: Any) -> Path:
    return table_config(folder, **{"policies": [NORMAL, LOAD], "load": POISSON, **sections})


def search(config: Path, out: Path, *words: object) -> Any:
    """A search that is over soon."""
    return dvabatch(
        "search", config, "--simulate", "--slo", "p90:3ms", "--tolerance", 0.2, "--seeds", 2, "-o", out, *words
    )


def limit_of(config: Path, *words: object) -> dict[str, Any]:
    done = dvabatch("search", config, "--simulate", "--json", "-o", config.parent / "out", *words)
    assert done.code == 0, done.err
    (row,) = done.document()["limits"]
    assert row["status"] == "found"
    return dict(row)
