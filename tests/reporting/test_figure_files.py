from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dvabatch.reporting.figure_files import QUICK_NOTE, caption, captions, drawing, model_title, save


def test_a_quick_figure_says_so_above_a_line_for_each_report(report: dict[str, Any]) -> None:
    other = {**report, "name": "other"}
    assert captions([report, other], quick=True).splitlines() == [QUICK_NOTE, caption(report), caption(other)]
    assert captions([report], quick=False) == caption(report)


def test_a_note_is_wrapped_to_the_figure(tmp_path: Path) -> None:
    note = "one of many words " * 12
    with drawing():
        figure = Figure(figsize=(4, 3), layout="constrained")
        figure.subplots()
        written = save(figure, tmp_path, "small", note)
    assert [path.name for path in written] == ["small.svg", "small.png"]
    lines = figure.get_supxlabel().splitlines()
    assert " ".join(line.strip() for line in lines) == note.strip()
    assert max(map(len, lines)) <= 66


def test_a_model_s_title_leaves_out_seed_and_version(report: dict[str, Any]) -> None:
    def titled(name: str) -> str:
        return model_title({**report, "model": {"name": name}})

    assert titled("resnet_152-3x32x32-s0-v0.1.0") == "resnet_152-3x32x32"
    assert titled("paraphrase-MiniLM-L3-v2") == "paraphrase-MiniLM-L3-v2"
    assert model_title({**report, "model": None}) == "queue"
