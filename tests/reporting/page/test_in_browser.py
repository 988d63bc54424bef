"""The page in a real Chromium: what a person would see. Skipped, saying so, where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reporting.page import chromium

PHONE, SCREEN, PAPER = 360, 1200, 680  # paper: A4 within its margins
SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])

# Every element that shows text of its own, as its words, its colour and what lies behind it, whatever it lies in.
_TEXTS = """
(() => {
  document.querySelectorAll('details').forEach(each => each.open = true);
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (let each = node; each; each = each.parentElement) {
      const found = rgb(getComputedStyle(each).backgroundColor);
      if (found.length == 3 || found[3] == 1) return found;
      if (found[3] > 0) throw new Error('a background that shines through');
    }
    throw new Error('no background behind ' + node.textContent);
  };
  const told = [];
  for (const node of document.body.querySelectorAll('*')) {
    const words = [...node.childNodes].filter(c => c.nodeType == 3).map(c => c.data.trim()).join('');
    const box = node.getBoundingClientRect();
    if (!words || !box.width || !box.height || node.closest('caption')) continue;
    const style = getComputedStyle(node), svg = node.closest('svg');
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(node))].sort((x, y) => y - x);
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    told.push([words.slice(0, 40), (a + 0.05) / (b + 0.05), scale * parseFloat(style.fontSize), box.right]);
  }
  return told;
})()
"""
# Strokes of the figures' lines against the paper: not text, but they have to be seen.
_LINES = """
(() => [...document.querySelectorAll('.chart [stroke]')].filter(n => n.getBoundingClientRect().width)
  .map(n => [n.getAttribute('stroke'), getComputedStyle(n).stroke, getComputedStyle(document.body).backgroundColor]))()
"""
_WIDE = """
[...document.body.querySelectorAll('*')].filter(n => !n.closest('.scroll table, pre code, caption') &&
  n.getBoundingClientRect().right > {width} + 0.5).map(n => n.tagName + ' ' + n.textContent.slice(0, 40))
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Tab]:
    program = chromium.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} starts from the PATH; name one in CHROMIUM")
    with chromium.browser(program, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@SCHEMES
@pytest.mark.parametrize("width", [PHONE, SCREEN])
def test_the_console_is_silent_and_nothing_is_asked_for(tab: chromium.Tab, file: Path, width: int, dark: bool) -> None:
    tab.look(width, dark=dark)
    tab.open(file)
    assert tab.complaints() == []
    assert tab.requests() == [file.as_uri()]


@SCHEMES
@pytest.mark.parametrize("width", [PHONE, SCREEN])
def test_all_text_stands_off_its_background_and_is_large_enough(
    tab: chromium.Tab, file: Path, width: int, dark: bool
) -> None:
    tab.look(width, dark=dark)
    tab.open(file)
    texts = tab.ask(_TEXTS)
    assert len(texts) > 300
    assert [text for text in texts if text[1] < 4.5] == []
    assert [text for text in texts if text[2] < 9.5] == []


def test_a_phone_scrolls_tables_and_never_the_page(tab: chromium.Tab, file: Path) -> None:
    tab.look(PHONE, dark=False)
    tab.open(file)
    tab.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert tab.ask("document.scrollingElement.scrollWidth") <= PHONE
    assert tab.ask(_WIDE.replace("{width}", str(PHONE))) == []
    boxes = tab.ask("[...document.querySelectorAll('.scroll')].map(n => [n.clientWidth, n.scrollWidth])")
    assert any(inside > shown for shown, inside in boxes)  # or else the test above would have nothing to find


@SCHEMES
def test_the_scheme_changes_the_paper_and_the_figures_with_it(tab: chromium.Tab, file: Path, dark: bool) -> None:
    tab.look(SCREEN, dark=dark)
    tab.open(file)
    (paper,) = {paper for _, _, paper in tab.ask(_LINES)}
    assert paper == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
    for drawn, seen, _ in tab.ask(_LINES):
        as_drawn = "rgb({}, {}, {})".format(*(int(drawn[place : place + 2], 16) for place in (1, 3, 5)))
        assert (seen != as_drawn) if dark else (seen == as_drawn), (drawn, seen)


def test_one_form_of_each_figure_is_shown(tab: chromium.Tab, file: Path) -> None:
    shown = "[...document.querySelectorAll('figure svg')].filter(n => n.getBoundingClientRect().width).map(n => n.classList[1])"
    for width, form in ((PHONE, "narrow"), (SCREEN, "wide")):
        tab.look(width, dark=False)
        tab.open(file)
        forms = tab.ask(shown)
        assert set(forms) == {form}
        assert len(forms) == 5


def test_on_paper_it_is_dark_on_white_and_no_table_is_cut(tab: chromium.Tab, file: Path) -> None:
    tab.look(PAPER, dark=True, media="print")
    tab.open(file)
    assert tab.ask("getComputedStyle(document.body).color") == "rgb(27, 39, 51)"
    assert tab.ask("document.scrollingElement.scrollWidth") <= PAPER


def test_a_report_that_means_harm_does_none(tab: chromium.Tab, harmful_page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(harmful_page, encoding="utf-8")
    tab.look(PHONE, dark=False)
    tab.open(path)
    assert tab.ask("typeof window.pwned") == "undefined"
    assert tab.complaints() == []
    assert tab.requests() == [path.as_uri()]
    assert tab.ask("document.scrollingElement.scrollWidth") <= PHONE
    assert tab.ask("document.body.textContent.split('window.pwned').length") > 10
