from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.page import page as module
from dvabatch.reporting.page.page import page_of
from tests.reporting.page.conftest import HARM, Reader

ORDER = ("runs", "comparison", "figures", "validity", "answers", "operations", "environment", "config", "reproduce")
_SCALAR = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=9), st.just(HARM)),
    *(st.just([]), st.just({}), st.lists(st.integers(), max_size=3)),
)


def test_the_sections_stand_in_their_order_and_are_linked(page: str) -> None:
    assert tuple(re.findall(r'<section id="(\w+)">', page)) == ORDER
    assert tuple(re.findall(r'<a href="#(\w+)">', page)) == ORDER
    assert page.index('class="answer"') < page.index('<section id="runs">')


def test_every_number_of_the_tables_is_there(page: str, whole: dict[str, Any]) -> None:
    text = Reader(page).text
    for wanted in (
        "LOAD_DVA",
        "hybrid, one at a time",
        "60 % of the capacity",
        "A Processor",
        "640 answers",
        "8.0 GiB",
    ):
        assert wanted in text
    assert "dvabatch simulate queue.json -o results/queue" in text
    assert f"sha256 of report.json: {'ab' * 32}" in text
    assert len(re.findall(r"<tr>", page)) > len(whole["comparison"])


@pytest.mark.usefixtures("one_figure")
def test_a_report_gives_the_same_page_and_a_page_stays_small(small: dict[str, Any], page: str) -> None:
    assert page_of(small) == page_of(copy.deepcopy(small))
    assert len(page.encode()) < 1_000_000


def test_nothing_is_run_or_loaded_and_the_style_is_the_one_that_the_policy_allows(page: str) -> None:
    found = Reader(page)
    assert not {"script", "img", "iframe", "link", "object", "embed", "base", "form"} & set(found.elements)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in {"src", "style"}]
    assert all((value or "").startswith("#") for name, value in found.attributes if name == "href")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;;")
    assert "url(" not in style
    assert "@import" not in style


def test_ids_are_each_there_once_and_all_references_lead_somewhere(page: str) -> None:
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert referred <= set(ids)


def test_a_report_that_means_harm_is_only_text(harmful_page: str) -> None:
    found = Reader(harmful_page)
    assert "script" not in found.elements
    assert "img" not in found.elements
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert found.text.count("window.pwned") > 10
    assert harmful_page.count("<style>") == harmful_page.count("</style>") == 1


@pytest.mark.usefixtures("one_figure")
def test_what_utf_8_cannot_write_or_a_reader_cannot_see_is_replaced(small: dict[str, Any]) -> None:
    small["name"] = "a\ud800b\u202ec\x00d"
    small["runs"][0]["policy"]["name"] = "\U0001f600 \u6279\u91cf \ud800"
    text = page_of(small)
    text.encode()
    assert "a\ufffdb\ufffdc\ufffdd" in text


def test_an_empty_report_says_that_nothing_was_measured(small: dict[str, Any]) -> None:
    text = Reader(page_of({**small, "runs": [], "comparison": []})).text
    assert "Nothing was measured" in text
    assert "There is nothing to draw" in text


def test_what_is_left_out_is_said(small: dict[str, Any]) -> None:
    runs = [copy.deepcopy(small["runs"][2]) for _ in range(30)]
    for number, run in enumerate(runs):
        run["policy"]["name"] = f"policy {number}"
    said: list[str] = []
    text = Reader(page_of({**small, "runs": runs}, say=said.append)).text
    assert any("figures of the runs are left out: 30 policies" in line for line in said)
    assert "Figures of the runs are left out: 30 policies" in text


@pytest.mark.parametrize("key", ["runs", "comparison", "config", "engine", "model", "environment", "correctness"])
def test_a_missing_part_gives_one_clear_message(small: dict[str, Any], key: str) -> None:
    del small[key]
    with pytest.raises(ReportError, match=f"{key} of the report is nothing, wanted it: it is damaged"):
        page_of(small)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_field_there_is_a_page_or_a_clear_message(
    whole: dict[str, Any], data: st.DataObject
) -> None:
    report = json.loads(json.dumps({**whole, "runs": whole["runs"][:6], "comparison": whole["comparison"][:3]}))
    place: Any = report
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inside = place[key]
        if not isinstance(inside, dict | list) or not inside or data.draw(st.integers(0, 3)) == 0:
            break
        place = inside
    place[key] = data.draw(_SCALAR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "charts_of", lambda report, say: [])  # the tables alone: drawing takes a second
        try:
            page = page_of(report)
        except ReportError as error:
            assert str(error)
        else:
            page.encode()
            assert "<script" not in page
