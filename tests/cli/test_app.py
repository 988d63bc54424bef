"""The command line as a whole: every command explains itself, with an example that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from dvabatch import __version__
from dvabatch_cli import __main__  # noqa: F401 -- its imports register the subcommands
from dvabatch_cli.app import app
from tests.cli.command import dvabatch


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        yield (*path, name)
        yield from commands(command, (*path, name))


COMMANDS = sorted(commands(typer.main.get_command(app)))


def test_the_commands_are_those_that_are_promised() -> None:
    promised = {"model", "slice", "build", "profile", "bench", "simulate", "plot", "cache", "doctor"}
    assert {path[0] for path in COMMANDS} >= promised


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_of_that_very_command(path: tuple[str, ...]) -> None:
    done = dvabatch(*path, "--help")
    assert done.code == 0
    example = re.search(r"Example:\s+dvabatch (.*)", done.out)
    assert example is not None
    assert example[1].split()[: len(path)] == list(path)


def test_every_command_that_says_something_says_it_to_machines_too() -> None:
    for path in COMMANDS:
        if path != ("cache",):
            assert "--json" in dvabatch(*path, "--help").out, path


def test_no_word_shows_the_help_and_a_wrong_one_is_refused() -> None:
    assert "Usage: dvabatch" in dvabatch().err
    done = dvabatch("bensh")
    assert done.code == 2
    assert "bensh" in done.err


def test_the_version_is_the_packages() -> None:
    assert dvabatch("--version").out == f"dvabatch {__version__}\n"
