from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from dvabatch.reporting.figure_files import drawing
from dvabatch.reporting.page.svg import inline


@pytest.fixture(scope="module")
def drawn() -> str:
    with drawing():
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot([1, 2, 3], [1, 4, 9], marker="o", color="#4477AA", label="a < b & c")
        axes.set_title("$5 \u6279")
        axes.legend()
        return inline(figure, "first", 'what "it" shows', "chart wide")


def test_it_is_one_well_formed_element_without_styles_or_documents(drawn: str) -> None:
    root = ElementTree.fromstring(drawn)
    assert root.tag == "svg"
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", 'what "it" shows')
    tags = {node.tag for node in root.iter()}
    assert tags <= {"svg", "g", "defs", "clipPath", "path", "rect", "use", "text"}
    assert not any("style" in node.attrib for node in root.iter())


def test_text_is_text(drawn: str) -> None:
    texts = [node.text for node in ElementTree.fromstring(drawn).iter("text")]
    assert "$5 \u6279" in texts
    assert "a < b & c" in texts


def test_ids_are_its_own_and_only_those_that_are_used(drawn: str) -> None:
    ids = set(re.findall(r' id="([^"]+)"', drawn))
    referred = set(re.findall(r'href="#([^"]+)"', drawn)) | set(re.findall(r"url\(#([^)]+)\)", drawn))
    assert ids == referred
    assert all(each.startswith("first-") for each in ids)


def test_colours_are_attributes_that_a_style_sheet_overrides(drawn: str) -> None:
    assert 'stroke="#4477aa"' in drawn
    markers = re.findall(r"<defs>(.*?)</defs>", drawn)
    assert markers
    assert not any('fill="#' in each or "stroke=" in each for each in markers)  # those take the paint of what uses them


def test_numbers_are_short(drawn: str) -> None:
    assert not re.search(r"\d\.\d{3,}", drawn)
