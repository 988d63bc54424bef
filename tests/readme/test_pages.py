"""Links lead somewhere, figures are those of today's code, and what the pages list is what the code knows."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from dvabatch.batching.states import BATCH_TRANSITIONS, BatchEvent, BatchState
from dvabatch_cli.config.config import Config
from dvabatch_cli.config.engine import ChecksSection, EngineSection, SlicingSection, SloSection
from dvabatch_cli.config.faults import FAULTS
from dvabatch_cli.config.lengths import LENGTHS
from dvabatch_cli.config.load import LOADS
from dvabatch_cli.config.model import MODELS, InputSection
from dvabatch_cli.config.policies import POLICIES
from dvabatch_cli.config.section import Section
from dvabatch_cli.errors import Exit
from tests.readme.page import PAGES, README, ROOT, links

GUIDE = ROOT / "docs" / "guide.md"
SECTIONS = (
    *(Config, SlicingSection, EngineSection, SloSection, ChecksSection, InputSection),
    *(section for family in (MODELS, LOADS, LENGTHS, POLICIES, FAULTS) for section in family.values()),
)
FIGURES = ("docs.state_diagram", "docs.query_life")


@pytest.fixture(params=FIGURES)
def drawer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(request.param)


def test_figures_are_current(drawer: ModuleType) -> None:
    assert drawer.FILE.read_text() == drawer.draw(), f"{drawer.FILE} is out of date: run make docs"


def test_figures_are_used(drawer: ModuleType) -> None:
    used = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert drawer.FILE.resolve() in used


def test_the_state_diagram_follows_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arrow is one of the table's, so that another table gives another picture."""
    monkeypatch.syspath_prepend(str(ROOT))
    diagram = importlib.import_module("docs.state_diagram")
    whole = diagram.draw()
    assert all(state.name in whole for state in BatchState)
    for step in BATCH_TRANSITIONS:
        others = {other: target for other, target in BATCH_TRANSITIONS.items() if other != step}
        arrows = whole.count("<polygon") - diagram.draw(others).count("<polygon")
        assert arrows == 1, step
    renamed = {(BatchState.READY, BatchEvent.DIVIDED): BatchState.MERGED}
    assert "divided" in diagram.draw(renamed)
    assert "joined" not in diagram.draw(renamed)


def test_the_life_of_a_query_shows_every_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario is run by the machine: it must still do what the picture is there to explain."""
    monkeypatch.syspath_prepend(str(ROOT))
    scenario = importlib.import_module("docs.scenario")
    story = scenario.multi_entry_multi_exit()
    assert {done.kind for done in story.operations} == {"new", "stretch", "hold", "merge", "split"}
    assert sorted(story.delivered_ms) == list(range(len(scenario.ARRIVALS_MS)))
    assert {done.kind for done in scenario.ordinary().operations} == {"new"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    found = links(page)
    assert found
    for link in found:
        assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_the_guide_names_every_option_of_a_config(section: type[Section]) -> None:
    text = GUIDE.read_text()
    names = [field.alias or name for name, field in section.model_fields.items()]
    missing = [name for name in names if f"`{name}`" not in text and f'"{name}"' not in text]
    assert not missing


@pytest.mark.parametrize("kinds", [POLICIES, LOADS, LENGTHS, FAULTS], ids=["policies", "loads", "lengths", "faults"])
def test_the_guide_names_every_kind(kinds: Mapping[str, type[Section]]) -> None:
    text = GUIDE.read_text()
    assert not [kind for kind in kinds if f"`{kind}`" not in text]


def test_the_guide_names_every_field_of_a_report() -> None:
    """Of a run and of a comparison, as the schema has them."""
    text = GUIDE.read_text()
    schema = json.loads((ROOT / "configs" / "schema" / "report.schema.json").read_text())
    fields = [
        *schema["properties"],
        *schema["$defs"]["run"]["properties"],
        *schema["$defs"]["comparison"]["properties"],
    ]
    assert not [field for field in fields if f"`{field}`" not in text]


def test_the_guide_names_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|", GUIDE.read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == [int(code) for code in Exit]


def test_the_readme_shows_the_layout_of_the_tree() -> None:
    (layout,) = re.findall(r"^## Layout\n\n```\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    top = ""
    for line in layout.splitlines():
        name = line.split()[0]
        top, folder = (top, ROOT / top / name) if line.startswith(" ") else (name, ROOT / name)
        assert folder.is_dir(), folder
