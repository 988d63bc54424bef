"""Which payloads the queries of a run bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvabatch.loadgen import InputSpec, PayloadPool, Schedule, make_schedule
from dvabatch.loadgen.lengths import LengthDistribution, UniformLength
from dvabatch.loadgen.processes import Poisson
from dvabatch_cli.errors import Exit
from dvabatch_cli.rows import PooledRows, TokenRows
from dvabatch_cli.sites import Site
from dvabatch_cli.testbed import RealBed
from tests.cli.command import NORMAL, dvabatch, table_config


def rows_of(pool: PayloadPool) -> PooledRows:
    rows = PooledRows.__new__(PooledRows)  # without a model
    rows._pool = pool
    return rows


def scheduled(queries: int, lengths: LengthDistribution | None = None) -> Schedule:
    return make_schedule(Poisson(100.0), lengths, num_requests=queries, max_duration_s=None, seed=1)


def test_each_payload_of_a_run_is_told_once_as_its_queries_bring_it() -> None:
    pictures = rows_of(PayloadPool([InputSpec("x", "float32", (3,))], 4))
    told = [id(payload) for payload, length in pictures.of_run(scheduled(10)) if length is None]
    assert sorted(told) == sorted({id(pictures.row(query, None)) for query in range(10)})
    assert len(list(pictures.of_run(scheduled(3)))) == 3
    words = rows_of(PayloadPool([InputSpec("x", "int64", (None,), high=50, max_length=9)], 2))
    schedule = scheduled(50, UniformLength(5, 7))
    assert schedule.lengths is not None
    of_words = [(id(payload), length) for payload, length in words.of_run(schedule)]
    lengths = schedule.lengths.tolist()
    assert set(of_words) == {(id(words.row(query, length)), length) for query, length in enumerate(lengths)}
    assert len(of_words) == 2 * 3, "each of the two at each length"


def test_queries_of_a_table_bring_nothing_twice() -> None:
    assert list(TokenRows().of_run(scheduled(3))) == []


def test_a_site_hears_of_the_payloads_before_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    monkeypatch.setattr(Site, "know", lambda _, payloads, pads: heard.append((list(payloads), pads)))
    monkeypatch.setattr(RealBed, "_warm_up", lambda _, schedule: heard.append(len(schedule)))
    load = {"process": "poisson", "request_rate": [100, 200], "num_requests": 5}
    config = table_config(tmp_path, policies=[NORMAL], load=load)
    assert dvabatch("bench", config, "-o", tmp_path / "results").code in {
        Exit.FINE,
        Exit.INVALID,
    }  # a busy machine is late
    assert heard[::2] == [([], {})] * (len(heard) // 2)
    assert heard[-3::2] == [5, 5]
