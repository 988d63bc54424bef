"""What the pages say of figures and claims is what the code and the committed results say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dvabatch_cli.studies import STUDIES
from dvabatch_cli.studies.losses import POLICIES
from dvabatch_cli.studies.tables import TITLES
from tests.readme.page import README, ROOT

REPRODUCE = ROOT / "docs" / "reproduce.md"


def rows(text: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_the_readme_lists_every_figure_with_its_command() -> None:
    commands = {row[0].strip("`"): row[2] for row in rows(README.read_text()) if len(row) == 4 and row[0][0] == "`"}
    assert {name: command for name, command in commands.items() if name in STUDIES} == {
        name: f"`dvabatch figure {name}`" for name in STUDIES
    }


def test_the_results_page_names_every_run_its_config_and_its_figures() -> None:
    text = (ROOT / "results" / "README.md").read_text()
    for study in STUDIES.values():
        for run in study.runs:
            assert f"`results/{run.name}`" in text
            assert f"[{run.config}](../configs/{run.config})" in text


@pytest.mark.parametrize("name", STUDIES)
def test_the_reproduction_page_says_of_every_figure_how_it_can_be_had(name: str) -> None:
    assert f"`{name}`" in REPRODUCE.read_text()


def test_the_numbers_of_the_losses_are_those_of_the_committed_figure() -> None:
    metrics: dict[str, Any] = json.loads((ROOT / "results" / "figures" / "losses.json").read_text())["metrics"]
    head, *table = [row for row in rows(REPRODUCE.read_text()) if len(row) == 9]
    loads = [re.sub(r"\D", "", cell) for cell in head[2:]]
    said = {(row[0], row[1], load): cell for row in table[1:] for load, cell in zip(loads, row[2:], strict=True)}
    assert said == {
        (title, policy, load): f"{metrics[f'{policy.lower()}_over_swept.{network}.{load}']:.2f}"
        for network, title in TITLES.items()
        for policy in POLICIES
        for load in loads
    }
