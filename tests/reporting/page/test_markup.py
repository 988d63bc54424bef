from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvabatch.reporting.page.markup import Column, Html, element, facts, folded, items, joined, table
from tests.reporting.page.conftest import Reader


@given(st.text(), st.text())
def test_text_never_becomes_markup(inside: str, attribute: str) -> None:
    made = element("p", inside, title=attribute)
    assert made.count("<") == 2
    assert made.count('"') == 2
    assert unescape(made.partition(">")[2].removesuffix("</p>")) == unescape(unescape(joined([inside])))


def test_html_stays_and_names_of_attributes_are_spelled() -> None:
    assert element("p", Html("<b>a</b>"), "<b>", class_="x", aria_label="y", hidden=None) == (
        '<p class="x" aria-label="y"><b>a</b>&lt;b&gt;</p>'
    )
    assert element("path", d="M 0 0") == '<path d="M 0 0"/>'
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_a_table_scrolls_in_a_box_that_a_keyboard_reaches() -> None:
    columns = [Column("who", numeric=False), Column("how many", about="<in all>"), Column("nothing")]
    made = table("Caption", columns, [("group", [["a", "1", ""]]), (None, [["b", "2", ""]])])
    assert made.startswith('<div class="scroll" role="region" aria-label="Caption" tabindex="0"><table>')
    assert "nothing" not in made  # a column that is empty in every row
    assert 'colspan="2"' in made
    assert '<th scope="row">a</th><td class="number">1</td>' in made
    assert 'title="&lt;in all&gt;"' in made


def test_a_row_of_another_length_is_a_defect() -> None:
    with pytest.raises((ValueError, IndexError)):
        table("Caption", [Column("a"), Column("b")], [(None, [["1"]])])


def test_lists_and_facts() -> None:
    assert items(["<a>"]) == "<ul><li>&lt;a&gt;</li></ul>"
    assert facts([("a", "1"), ("b", "")]) == "<dl><dt>a</dt><dd>1</dd></dl>"
    assert Reader(folded("more", "inside")).elements == ["details", "summary"]
