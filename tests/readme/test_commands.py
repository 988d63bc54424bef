"""README's commands run as written, in order, in an empty folder with an empty cache."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main

import dvabatch_cli.__main__  # noqa: F401 -- registers every subcommand
from dvabatch_cli.app import app
from tests.readme.page import PAGES, README, ROOT, blocks, commands

GUIDE = ROOT / "docs" / "guide.md"
# What takes minutes, or belongs to the machine and not to a test: how it is tried instead.
LONG = {
    "make demo": ["make", "--dry-run", "demo"],
    "make test": ["make", "--dry-run", "test"],
    "pip install .": [sys.executable, "-m", "pip", "install", "--help"],
    "dvabatch check": [sys.executable, "-m", "dvabatch_cli", "check", "--help"],
    "dvabatch bench resnet_152_04.json": [sys.executable, "-m", "dvabatch_cli", "bench", "--help"],
}
# A machine whose cores are taken may make a sender late: the run is then invalid, and says so. All else is a failure.
FINE, INVALID = 0, 4


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody who has just installed dvabatch stands."""
    return tmp_path_factory.mktemp("fresh")


def _run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DVABATCH_CACHE": str(folder / "cache"), "COLUMNS": "110"}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_every_quick_command_of_the_readme_runs_in_order(fresh: Path) -> None:
    for command in commands(README):
        if command in LONG:
            continue
        words = shlex.split(command)
        assert words[0] == "dvabatch", f"{command}: say in LONG how it is tried"
        done = _run([sys.executable, "-m", "dvabatch_cli", *words[1:]], fresh)
        allowed = {FINE, INVALID} if words[1] == "bench" else {FINE}
        assert done.returncode in allowed, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Next: " in done.stderr, f"{command}: does not say what to run next"
    _the_bench_is_sound(fresh / "results" / "demo_quick")


def _the_bench_is_sound(folder: Path) -> None:
    """The report keeps to its schema, and all that was checked was right."""
    report = json.loads((folder / "report.json").read_text())
    schema = json.loads((ROOT / "configs" / "schema" / "report.schema.json").read_text())
    jsonschema.validate(report | json.loads((folder / "meta.json").read_text()), schema)
    assert report["correctness"]["passed"]
    assert report["correctness"]["checked"] > 0
    assert (folder / "latency.svg").is_file()


@pytest.mark.parametrize("command", sorted(LONG))
def test_long_commands_are_there(command: str) -> None:
    assert command in commands(README), f"the README no longer says {command!r}: take it out of LONG"
    done = _run(LONG[command], ROOT)
    assert done.returncode == 0, done.stderr


def subcommands() -> set[str]:
    """Those of the command line, by its own account."""
    whole: Any = typer.main.get_command(app)
    return set(whole.commands)


def test_every_subcommand_has_an_example() -> None:
    said = {shlex.split(command)[1] for command in commands(README) if command.startswith("dvabatch ")}
    assert said == subcommands()


def test_the_guide_has_a_row_for_every_subcommand() -> None:
    (table,) = re.findall(r"^\| command \| what it does \|$(.*?)^$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `dvabatch (\w+)", table, re.MULTILINE)) == subcommands()


@pytest.mark.parametrize("page", [README, GUIDE], ids=lambda page: page.name)
def test_who_is_told_to_check_is_told_of_its_exit_code(page: Path) -> None:
    """And where it says which claims fail: somebody who sees a failure has done nothing wrong."""
    told = [text for text in re.split(r"\n\n|\n(?=\|)", page.read_text()) if "`dvabatch check`" in text]
    assert any(re.search(r"exit(s with| code) 5", " ".join(text.split())) and "reproduce.md" in text for text in told)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_subcommands_and_options_of_every_page_are_known(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command)
        if words[0] != "dvabatch":
            continue
        known: Any = typer.main.get_command(app)
        while hasattr(known, "commands"):
            words = words[1:]
            assert words[0] in known.commands, f"{page.name}: {command}: {words[0]} is unknown"
            known = known.commands[words[0]]
        options = {name for parameter in known.params for name in parameter.opts}
        for option in (word for word in words if word.startswith("-")):
            assert option in options, f"{page.name}: {command}: {option} is unknown"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_examples_run(page: Path, tmp_path: Path) -> None:
    answers = {"README.md": "[[7, 3], [8, 3], [9, 3]]", "guide.md": "[19, 4]"}
    (example,) = blocks(page, "python")
    done = _run([sys.executable, "-c", example], tmp_path)
    assert done.stdout.strip() == answers[page.name], done.stderr
