from __future__ import annotations

import copy
from typing import Any
from xml.etree import ElementTree

import pytest

from dvabatch.reporting.page.charts import MOST_LINES, charts_of, figures_section
from tests.reporting.page.conftest import Reader


def texts(drawing: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(drawing).iter("text")]


def test_both_forms_show_the_same_and_of_a_sweep_one_line(small: dict[str, Any]) -> None:
    other = copy.deepcopy(small["runs"][1])
    other["policy"]["max_batch_size"] = 7
    other["response_ms"]["mean"] = 1e6
    small["runs"].append(other)
    said: list[str] = []
    charts = charts_of(small, said.append)
    assert [chart.name for chart in charts] == ["latency", "response", "batches"]
    assert said == []
    for chart in charts:
        wide, narrow = texts(chart.wide), texts(chart.narrow)
        # All but the ticks, whose number depends on the room that there is.
        assert {text for text in wide if not text.replace(".", "").isdigit()} <= set(narrow)
        assert {"untuned", "swept", "LOAD_DVA"} <= set(wide)
        width, height = (float(part) for part in ElementTree.fromstring(chart.narrow).attrib["viewBox"].split()[2:])
        assert 250 < width < 300
        assert height > 150


@pytest.mark.usefixtures("one_figure")
def test_a_long_name_is_cut_and_stays_its_own(small: dict[str, Any]) -> None:
    small["runs"] = [copy.deepcopy(small["runs"][2]) for _ in range(2)]
    for number, run in enumerate(small["runs"]):
        run["policy"]["name"] = "n" * 60 + str(number)
    (latency,) = charts_of(small, lambda _: None)
    names = {text for text in texts(latency.wide) if text.startswith("nnn")}
    assert names == {"n" * 36 + "\u2026 1", "n" * 36 + "\u2026 2"}


def test_too_many_policies_are_not_drawn_and_that_is_said(small: dict[str, Any]) -> None:
    runs = [copy.deepcopy(small["runs"][2]) for _ in range(MOST_LINES + 1)]
    for number, run in enumerate(runs):
        run["policy"]["name"] = f"p{number}"
    said: list[str] = []
    assert charts_of({**small, "runs": runs}, said.append) == []
    text = Reader(figures_section([], said)).text
    why = f"{MOST_LINES + 1} policies, wanted at most {MOST_LINES} to tell them apart."
    assert text == f"Figures Figures of the runs are left out: {why}"


def test_figures_of_the_profile_say_what_to_look_for(small: dict[str, Any], whole: dict[str, Any]) -> None:
    charts = charts_of({**small, "runs": [], "profile": whole["profile"]}, lambda _: None)
    assert [chart.name for chart in charts] == ["favoured", "tax"]
    text = Reader(figures_section(charts, [])).text
    assert text.count("What to look for.") == 2
