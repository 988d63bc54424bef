"""What a search leaves in its folder: its document, its probes, and enough to go on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dvabatch_cli.result import Result
from dvabatch_cli.testbed import SimulatedBed
from tests.cli.command import dvabatch, table_config
from tests.cli.searched import AT_ONCE, POISSON, search, small
from tests.cli.test_interrupt import WAIT_S, ctrl_c, read_until, running


def test_the_document_lies_in_the_folder_and_is_the_same_each_time(tmp_path: Path) -> None:
    config = small(tmp_path)
    for name in ("one", "other"):
        assert search(config, tmp_path / name).code == 0
    texts = [(tmp_path / name / "search.json").read_bytes() for name in ("one", "other")]
    assert texts[0] == texts[1]
    document = json.loads(texts[0])
    assert document["slo"] == {"quantile": 0.9, "response_ms": 3}
    assert json.loads((tmp_path / "one" / "meta.json").read_text())["command"]
    said = search(config, tmp_path / "one", "--json").document()
    assert (said["folder"], said["exit_code"]) == (str(tmp_path / "one"), 0)
    assert said["limits"] == document["limits"]


def counted(monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None) -> list[float]:
    """The rates that are run; a Ctrl-C comes at one of them."""
    ran: list[float] = []
    run = SimulatedBed.run

    def noted(self: SimulatedBed, contender: Any, point: Any, schedule: Any, *words: Any) -> Result:
        if len(ran) == stop_at:
            raise KeyboardInterrupt
        ran.append(point.rate_rps)
        return run(self, contender, point, schedule, *words)

    monkeypatch.setattr(SimulatedBed, "run", noted)
    return ran


def test_a_search_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path)
    assert search(config, tmp_path / "whole").code == 0
    with monkeypatch.context() as patch:
        begun = counted(patch, stop_at=6)
        stopped = search(config, tmp_path / "out")
    assert stopped.code == 130
    assert "interrupted: what was probed is kept; go on with --resume" in stopped.err
    partial = json.loads((tmp_path / "out" / "search.json").read_text())["limits"]
    assert partial[-1]["status"] == "interrupted"
    with monkeypatch.context() as patch:
        rest = counted(patch)
        assert search(config, tmp_path / "out", "--resume").code == 0
    whole = len(list((tmp_path / "whole" / "probes").glob("*.json"))) - 1  # and which config they are of
    assert len(begun) + len(rest) == whole
    assert (tmp_path / "out" / "search.json").read_bytes() == (tmp_path / "whole" / "search.json").read_bytes()
    with monkeypatch.context() as patch:
        again = counted(patch)
        assert search(config, tmp_path / "out", "--resume").code == 0
        assert again == []
        assert search(config, tmp_path / "out").code == 0
        assert len(again) == whole  # without --resume all is probed anew


def test_a_folder_holds_the_probes_of_one_search(tmp_path: Path) -> None:
    config = small(tmp_path)
    assert search(config, tmp_path / "out").code == 0
    for words in (["--slo", "p90:4ms"], ["--seeds", "3"], ["--set", "engine.max_batch=4"]):
        done = search(config, tmp_path / "out", "--resume", *words)
        assert done.code == 2
        assert "holds probes of another config, stages, profile, objective or number of seeds" in done.err
    table = config.parent / "table.json"
    table.write_text(table.read_text().replace("0.2", "0.21"))
    done = search(config, tmp_path / "out", "--resume")
    assert (done.code, "stages, profile, objective" in done.err) == (2, True)
    (tmp_path / "out" / "probes" / ".config.json").write_bytes(b"\xff")
    assert search(config, tmp_path / "out", "--resume").code == 2


def test_a_damaged_probe_is_said(tmp_path: Path) -> None:
    config = small(tmp_path)
    assert search(config, tmp_path / "out").code == 0
    file = next((tmp_path / "out" / "probes").glob("NORMAL*.json"))
    file.write_text("{}")
    done = search(config, tmp_path / "out", "--resume")
    assert done.code == 2
    assert f"{file} is not a probe of a search" in done.err


def test_for_real_ctrl_c_keeps_what_was_probed_and_the_rest_follows(tmp_path: Path) -> None:
    """Engines that sleep. A host that is busy elsewhere may make its sender late, or its engines slow, and then says so."""
    slow = {"name": "slow", "stages": [{"latency_ms": {"1": 8.0, "8": 16.0}}]}
    config = table_config(
        tmp_path,
        table=slow,
        slicing={"stages": 1},
        policies=[AT_ONCE],
        load={**POISSON, "num_requests": 100, "attempts": 10},
    )
    words = ("search", config, "--slo", "p50:60ms", "--tolerance", 0.5, "--seeds", 1, "-o", tmp_path / "out")
    with running(*words) as process:
        said = read_until(process, "in time (")
        ctrl_c(process)
        printed, rest = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, said + rest
    assert "Traceback" not in printed + said + rest
    kept = set((tmp_path / "out" / "probes").glob("NORMAL*.json"))
    assert kept
    done = dvabatch(*words, "--resume", "--json")
    (row,) = done.document()["limits"]
    ends = {"found": 0, "no end": 0, "invalid": 4, "unreachable": 5, "undecided": 5}
    assert done.code == ends[row["status"]], done.err
    assert row["rates"]
    assert kept <= set((tmp_path / "out" / "probes").glob("NORMAL*.json"))
