"""`kill -9` at moments drawn at random, then `--resume`: nothing is lost, nothing is counted twice, nothing lies about.

Most moments are numbers: the process kills itself as it is about to bring its n-th file, or that file's name, to the disk. So
they are the same on every machine. One is drawn by the clock.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dvabatch.reporting.lock import ResultsLock
from dvabatch.reporting.points import load_points
from tests.cli.command import LOAD, NORMAL, dvabatch, ended_well, refused, report_of, table_config
from tests.cli.test_interrupt import WAIT_S, read_until, running

POLICIES = [NORMAL, LOAD]
SEEDS = [1, 2]
POINTS = len(POLICIES) * len(SEEDS)
FILES = 1 + 2 * POINTS + 2  # the mark, records and summary of each point, report.json and meta.json
SYNCS = 2 * FILES  # each file's own, and its folder's when the file has its name
SIMULATE = ("simulate",)
SEARCH = ("search", "--simulate", "--slo", "p90:3ms", "--tolerance", 0.3, "--seeds", 2)
PROGRAM = """
import os, signal, sys
left, sync = int(sys.argv.pop(1)), os.fsync
def counted(handle):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(handle)
os.fsync = counted
import dvabatch_cli.experiment
dvabatch_cli.experiment.draw_all = lambda report, folder: []
from dvabatch_cli.__main__ import main
main()
"""


def config_in(folder: Path) -> Path:
    load = {"process": "poisson", "request_rate": 3000, "num_requests": 60, "seeds": SEEDS, "attempts": 1}
    folder.mkdir(exist_ok=True)
    return table_config(folder, policies=POLICIES, load=load)


def killed_at(sync: int, *words: object) -> None:
    """Runs a command that kills itself at its `sync`-th call of fsync, from 0."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(sync), *map(str, words)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def kept_files(out: Path) -> dict[str, bytes]:
    """The files of the points that are whole."""
    return {file.name: file.read_bytes() for key in load_points(out) for file in (out / "points").glob(f"{key}.*json*")}


def all_is_tidy(out: Path) -> None:
    """No half file is left, and nobody holds the folder."""
    strange = [file.name for file in out.rglob("*") if file.name.endswith((".part", ".tmp")) or ".old" in file.name]
    assert strange == []
    with ResultsLock(out):
        pass


def all_points_once(out: Path) -> dict[str, Any]:
    report = report_of(out)
    met = [(run["policy"]["name"], run["load"]["seed"]) for run in report["runs"]]
    assert sorted(met) == sorted((policy["scheduler_type"], seed) for policy in POLICIES for seed in SEEDS)
    assert all(run["counts"]["offered"] == 60 for run in report["runs"])
    assert len(list((out / "points").glob("*.queries.jsonl"))) == POINTS
    assert len(load_points(out)) == POINTS
    return report


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dvabatch_cli.experiment.draw_all", lambda report, folder: [])
        assert dvabatch("simulate", config_in(folder), "-o", folder / "out").code == 0
    return folder / "out"


@pytest.mark.parametrize("sync", [*sorted(random.Random(9).sample(range(SYNCS - 1), 2)), SYNCS - 1])
def test_a_simulation_that_is_killed_ends_as_if_it_had_not_been(tmp_path: Path, undisturbed: Path, sync: int) -> None:
    config, out = config_in(tmp_path), tmp_path / "out"
    killed_at(sync, "simulate", config, "-o", out)
    before = kept_files(out)
    done = dvabatch("simulate", config, "-o", out, "--resume")
    assert done.code == 0, done.err
    assert done.err.count("kept from before") == len(before) // 2 == min(POINTS, max(0, sync - 1) // 4)
    all_points_once(out)
    for file in sorted(undisturbed.rglob("*")):
        if file.is_file() and file.name not in {"meta.json", ".lock"}:
            assert (out / file.relative_to(undisturbed)).read_bytes() == file.read_bytes(), file.name
    all_is_tidy(out)


@pytest.fixture(scope="module")
def undisturbed_search(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A search's folder, and how many calls of fsync it took."""
    folder, calls, sync = tmp_path_factory.mktemp("undisturbed_search"), 0, os.fsync

    def counted(handle: int) -> None:
        nonlocal calls
        calls += 1
        sync(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", counted)
        assert dvabatch(*SEARCH, config_in(folder), "-o", folder / "out").code == 0
    return folder / "out", calls


@pytest.mark.parametrize("part", [0.0, random.Random(3).random(), 1.0])
def test_a_search_that_is_killed_ends_as_if_it_had_not_been(
    tmp_path: Path, undisturbed_search: tuple[Path, int], part: float
) -> None:
    undisturbed, syncs = undisturbed_search
    config, out = config_in(tmp_path), tmp_path / "out"
    killed_at(int(part * (syncs - 1)), *SEARCH, config, "-o", out)
    before = {file: file.stat().st_ino for file in (out / "probes").glob("[!.]*")}
    assert bool(before) == (part > 0)
    assert dvabatch(*SEARCH, config, "-o", out, "--resume").code == 0
    assert {file: file.stat().st_ino for file in before} == before  # none was run again
    for file in sorted(undisturbed.rglob("*")):
        if file.is_file() and file.name not in {"meta.json", ".lock"}:
            assert (out / file.relative_to(undisturbed)).read_bytes() == file.read_bytes(), file.name
    all_is_tidy(out)


def test_a_bench_that_is_killed_twice_keeps_what_was_measured(tmp_path: Path) -> None:
    sync = random.Random(4).randrange(3, SYNCS - 4)
    config, out = config_in(tmp_path), tmp_path / "out"
    killed_at(sync, "bench", config, "-o", out)
    first = kept_files(out)
    killed_at(5, "bench", config, "-o", out, "--resume")  # the mark, and into the next point, or the report
    second = kept_files(out)
    assert first.items() <= second.items()
    done = dvabatch("bench", config, "-o", out, "--resume")
    report = all_points_once(out)
    assert ended_well(done, report), done.err
    assert done.err.count("kept from before") == len(second) // 2
    assert second.items() <= kept_files(out).items()
    all_is_tidy(out)


def test_a_bench_that_is_killed_while_a_point_runs_keeps_the_others(tmp_path: Path) -> None:
    """The first point ends at once, the second one takes seconds: by the clock it is under way."""
    load = {"process": "constant", "request_rate": [2000, 30], "num_requests": 24, "attempts": 1}
    config, out = table_config(tmp_path, policies=[NORMAL], load=load), tmp_path / "out"
    with running("bench", config, "-o", out) as process:
        read_until(process, "[1/2]")
        time.sleep(random.Random(7).uniform(0.05, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(WAIT_S)
    before = kept_files(out)
    assert len(before) == 2
    assert not (out / "report.json").exists()
    done = dvabatch("bench", config, "-o", out, "--resume")
    assert ended_well(done, report_of(out)), done.err
    assert done.err.count("kept from before") == 1
    assert len(report_of(out)["runs"]) == 2
    assert before.items() <= kept_files(out).items()
    all_is_tidy(out)


@pytest.mark.parametrize(
    ("command", "inside", "measuring"),
    [
        (SIMULATE, "points", "dvabatch_cli.experiment.Experiment._measure"),
        (SEARCH, "probes", "dvabatch_cli.searching.limit_run.LimitRun._search"),
    ],
    ids=["simulate", "search"],
)
def test_a_fresh_run_that_is_killed_takes_nothing_of_the_one_before_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...], inside: str, measuring: str
) -> None:
    """Whenever it is killed while it lays older files aside: keys of points and probes do not tell engines apart."""
    config, out, fresh = config_in(tmp_path), tmp_path / "out", tmp_path / "fresh"
    other = ("--set", "engine.executors_per_stage=1")
    assert dvabatch(*command, config, *other, "-o", fresh).code == 0
    document = "report.json" if command == SIMULATE else "search.json"
    removed = shutil.rmtree

    def cut_off(folder: Path) -> None:
        (folder / ".config.json").unlink()
        raise KilledError

    for step in (lambda folder: None, cut_off):
        assert dvabatch(*command, config, "-o", out).code == 0
        assert (out / document).read_bytes() != (fresh / document).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda folder, step=step: step(folder))
            patch.setattr(measuring, _killed)
            with pytest.raises(KilledError):
                dvabatch(*command, config, *other, "-o", out)
        assert not any((out / inside).glob("[!.]*"))
        done = dvabatch(*command, config, *other, "-o", out, "--resume")
        assert done.code == 0, done.err
        assert "kept from before" not in done.err
        assert (out / document).read_bytes() == (fresh / document).read_bytes()
        all_is_tidy(out)
        removed(out)


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def _killed(*_: object) -> None:
    raise KilledError


@pytest.mark.parametrize("mark", [None, b"", b"\xff", b"{", b"[" * 10_000])
@pytest.mark.parametrize(("command", "inside"), [(SIMULATE, "points"), (SEARCH, "probes")], ids=["simulate", "search"])
def test_what_nobody_knows_the_config_of_is_not_resumed(
    tmp_path: Path, command: tuple[object, ...], inside: str, mark: bytes | None
) -> None:
    config, out = config_in(tmp_path), tmp_path / "out"
    assert dvabatch(*command, config, "-o", out).code == 0
    (out / inside / ".config.json").unlink()
    if mark is not None:
        (out / inside / ".config.json").write_bytes(mark)
    before = {file.name: file.read_bytes() for file in (out / inside).iterdir()}
    assert f"{inside} of another config" in refused(2, *command, config, "-o", out, "--resume")
    assert {file.name: file.read_bytes() for file in (out / inside).iterdir()} == before


def test_the_half_file_of_a_writer_that_still_lives_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "points").mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait(WAIT_S)
    names = {
        f".a.json.{os.getpid()}.0123abcd.part": True,
        f"points/.a.json.{ended.pid}.0123abcd.part": False,
        f".a.json.{ended.pid}.0123abcd.part": False,
        ".mine.part": True,
        ".a.json.999999999.0123abcd.part": False,
        "a.part": True,
    }
    for name in names:
        (tmp_path / name).write_text("half")
    with ResultsLock(tmp_path):
        assert {name: (tmp_path / name).exists() for name in names} == names
