from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvabatch.reporting import points
from dvabatch.reporting.canonical import plain
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.measured import Measured
from dvabatch.reporting.summary import latency_numbers, summarise

MakeMeasured = Callable[..., Measured]


def save(folder: Path, key: str, measured: Measured) -> Path:
    return points.save_point(folder, key, summarise(measured), measured.queries)


def test_a_sweep_finds_what_it_has(tmp_path: Path, make_measured: MakeMeasured) -> None:
    assert points.load_points(tmp_path) == {}
    some = {f"p{seed}": make_measured(seed=seed) for seed in (1, 2)}
    for key, measured in some.items():
        save(tmp_path, key, measured)
    found = points.load_points(tmp_path)
    assert found == {key: plain(summarise(measured)) for key, measured in some.items()}
    responses = points.load_responses(tmp_path, "p2")
    assert np.array_equal(responses, some["p2"].queries.response_by_id_ns())


def test_the_numbers_follow_from_the_records(tmp_path: Path, make_measured: MakeMeasured) -> None:
    save(tmp_path, "p", make_measured(load=0.9, n=3000))
    run = points.load_points(tmp_path)["p"]
    again = latency_numbers(points.load_queries(tmp_path, "p"), slo_ms=50.0)
    assert again.keys() > {"counts", "response_ms", "service_ms", "lateness_ms", "goodput_rps", "response_cdf_ms"}
    assert again == {name: run[name] for name in again}


def test_a_half_written_point_is_not_there(tmp_path: Path, make_measured: MakeMeasured) -> None:
    first = save(tmp_path, "p", make_measured(seed=1))
    old = first.read_bytes()
    save(tmp_path, "p", make_measured(seed=2))
    assert list(points.load_points(tmp_path)) == ["p"]
    first.write_bytes(old)  # as if the second had ended between its records and its summary
    assert points.load_points(tmp_path) == {}
    first.unlink()
    assert points.load_points(tmp_path) == {}
    save(tmp_path, "p", make_measured(seed=2))
    (tmp_path / "points" / "p.queries.jsonl").unlink()
    assert points.load_points(tmp_path) == {}


def test_what_a_crash_leaves_behind_is_passed_over(tmp_path: Path, make_measured: MakeMeasured) -> None:
    save(tmp_path, "p", make_measured())
    (tmp_path / "points" / ".q.json.abc.part").write_text("{")
    assert list(points.load_points(tmp_path)) == ["p"]


def test_a_damaged_summary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "p.json").write_text('{"run": 1}')
    with pytest.raises(ReportError, match="wanted run and queries_sha256"):
        points.load_points(tmp_path)


@pytest.mark.parametrize("key", ["", "../x", ".hidden", "a/b", "a b", "x" * 200])
def test_a_key_is_a_plain_file_name(tmp_path: Path, make_measured: MakeMeasured, key: str) -> None:
    with pytest.raises(ReportError, match="plain file name"):
        save(tmp_path, key, make_measured())


def test_records_that_are_not_there_are_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="records of point 'p'"):
        points.load_queries(tmp_path, "p")
