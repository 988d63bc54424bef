from __future__ import annotations

from typing import Any

import pytest

from dvabatch.reporting.page.commands import commands_section
from tests.reporting.page.conftest import Reader


def told(report: dict[str, Any], command: Any) -> str:
    return Reader(commands_section({**report, "command": command})).text


def test_the_recorded_command_makes_the_runs_and_its_like_the_rest(whole: dict[str, Any]) -> None:
    text = told(whole, "dvabatch simulate queue.json --set load.seeds=[1] -o results/queue")
    # As a shell needs it: brackets would be a pattern.
    assert "read it before you run it" in text
    text = told(whole, "dvabatch simulate queue.json --set 'load.seeds=[1]' -o results/queue")
    assert "dvabatch simulate queue.json --set 'load.seeds=[1]' -o results/queue --resume" in text
    assert "dvabatch simulate queue.json --set 'load.seeds=[1]' --set load.utilization=1.2 -o results/one_load" in text
    assert "dvabatch plot RUN" in text
    assert "dvabatch report RUN -o report.html" in text
    assert "the same numbers on any machine" in text


def test_a_figure_s_command_is_taken_as_it_is(whole: dict[str, Any]) -> None:
    text = told(whole, "dvabatch figure latency")
    assert "dvabatch figure latency" in text
    assert "--resume" not in text


def test_words_are_joined_as_a_shell_needs_them(whole: dict[str, Any]) -> None:
    assert "dvabatch bench 'my config.json'" in told(whole, ["dvabatch", "bench", "my config.json"])


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf ~",
        "dvabatch bench x.json; rm -rf ~",
        "dvabatch bench $(rm -rf ~)",
        "dvabatch bench x.json\nrm -rf ~",
        "dvabatch 'bench",
        "dvabatch bench 'x\ny'",
        "dvabatch",
    ],
)
def test_another_command_is_not_passed_off_as_the_way_to_repeat_it(whole: dict[str, Any], command: str) -> None:
    text = told(whole, command)
    assert "What was recorded is no command of dvabatch: read it before you run it." in text
    assert "all runs, their records and this report" not in text


@pytest.mark.parametrize("command", [None, "", []])
def test_no_command_is_said(whole: dict[str, Any], command: Any) -> None:
    assert "No command was recorded." in told(whole, command)
