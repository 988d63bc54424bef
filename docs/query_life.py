"""Draws the life of queries through the stages, with and without new, stretch, merge and split: `python -m docs.query_life`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from docs.scenario import ARRIVALS_MS, MAX_BATCH, NAMES, STAGES, Done, Story, Work, multi_entry_multi_exit, ordinary
from docs.svg import FAINT, INK, MUTED, PAPER, Drawing

FILE = Path(__file__).parent / "figures" / "query_life.svg"
_COLOURS = ("#2f6fd0", "#4b8fe2", "#d9731a", "#e58f3c", "#efab66", "#2c8a4b", "#52ab6d")
_TAGS: Mapping[str, str] = {"new": "#1b2733", "stretch": "#8a3ab9", "merge": "#b3202a", "split": "#0b7285"}
_LEFT, _PX_PER_MS, _ROW, _GAP = 92.0, 93.0, 13.0, 12.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One run: its rows from `top` down; `first_row[s]` is where the rows of buffer set s begin in a stage's lane."""

    story: Story
    top: float
    first_row: tuple[int, ...]
    rows: int

    @property
    def lane_height(self) -> float:
        return self.rows * _ROW + _GAP

    @property
    def bottom(self) -> float:
        return self.top + STAGES * self.lane_height

    def x(self, ms: float) -> float:
        return _LEFT + ms * _PX_PER_MS

    def y(self, stage: int, buffer_set: int, row: int) -> float:
        return self.top + stage * self.lane_height + _GAP / 2 + (self.first_row[buffer_set] + row) * _ROW


def draw() -> str:
    """The picture as SVG, from two runs of the machine."""
    dva, plain = multi_entry_multi_exit(), ordinary()
    upper = _panel(dva, 112)
    lower = _panel(plain, upper.bottom + 104)
    last_ms = max(max(story.delivered_ms.values()) for story in (dva, plain))
    drawing = Drawing(_LEFT + last_ms * _PX_PER_MS + 66, lower.bottom + 62, "The life of queries through four stages")
    drawing.text(
        28,
        34,
        "Multi-entry multi-exit: late queries join between stages, parts leave on their own",
        size=18,
        weight=700,
        anchor="start",
    )
    _lanes(drawing, upper, last_ms)
    _lanes(drawing, lower, last_ms)
    for panel in (upper, lower):
        _arrivals(drawing, panel)
        for work in panel.story.works:
            _outline(drawing, panel, work)
            for row, query in enumerate(work.query_ids):
                y = panel.y(work.stage, work.place.buffer_set, work.place.first_row + row)
                width = (work.end_ms - work.start_ms) * _PX_PER_MS
                drawing.box(panel.x(work.start_ms) + 0.5, y + 0.5, width - 1, _ROW - 1, rx=2, fill=_COLOURS[query])
                drawing.text(panel.x(work.start_ms) + 11, y + _ROW / 2, NAMES[query], size=10, fill=PAPER, weight=700)
        _exits(drawing, panel)
    _held(drawing, upper)
    for operation in upper.story.operations:
        _tag(drawing, upper, operation)
    _heading(drawing, upper, "HYBRID_DVA", "enter, catch up, merge; split before a stage that favours two")
    _heading(drawing, lower, "NORMAL", "one entry, one exit: whoever comes late waits for the whole batch")
    drawing.text(
        _LEFT, lower.bottom + 40,
        "Two runs of the machine on one made-up profile and the same seven arrivals (python -m docs.query_life). "
        "It explains; what batching gains, dvabatch bench measures.",
        size=11, fill=MUTED, anchor="start",
    )  # fmt: skip
    return drawing.render()


def _panel(story: Story, top: float) -> Panel:
    used: dict[int, int] = {}
    for work in story.works:
        used[work.place.buffer_set] = max(used.get(work.place.buffer_set, 0), work.place.end_row)
    first_row, rows = [], 0
    for buffer_set in range(max(used) + 1):
        first_row.append(rows)
        rows += used.get(buffer_set, 0)
    return Panel(story, top, tuple(first_row), rows)


def _heading(drawing: Drawing, panel: Panel, name: str, what: str) -> None:
    y = panel.top - 46
    drawing.text(28, y, name, size=14, weight=700, anchor="start")
    drawing.text(150, y, what, size=13, fill=MUTED, anchor="start")
    drawing.text(
        drawing.width - 30, y, f"mean response {panel.story.mean_response_ms:.1f} ms", size=13, weight=700, anchor="end"
    )


def _lanes(drawing: Drawing, panel: Panel, last_ms: float) -> None:
    for stage in range(STAGES):
        top = panel.top + stage * panel.lane_height
        drawing.box(
            _LEFT, top, last_ms * _PX_PER_MS + 40, panel.lane_height,
            fill="#f6f8fa" if stage % 2 == 0 else "#eef2f6",
        )  # fmt: skip
        drawing.text(_LEFT - 12, top + panel.lane_height / 2, f"stage {stage}", size=12, weight=600, anchor="end")
    for ms in range(int(last_ms) + 1):
        x = panel.x(ms)
        drawing.add("line", x1=x, y1=panel.top, x2=x, y2=panel.bottom, stroke=FAINT, stroke_width=1)
        drawing.text(x, panel.bottom + 13, f"{ms}" if ms else "0 ms", size=10, fill=MUTED)


def _arrivals(drawing: Drawing, panel: Panel) -> None:
    """Who comes when, above the first stage."""
    for instant in sorted(set(ARRIVALS_MS)):
        queries = [query for query, at in enumerate(ARRIVALS_MS) if at == instant]
        x, y = panel.x(instant), panel.top - 16
        drawing.arrow([(x, y - 8), (x, panel.top - 1)], colour=INK, width=1.4)
        for place, query in enumerate(queries):
            drawing.add("circle", cx=x + 12 + place * 16, cy=y - 2, r=7.2, fill=_COLOURS[query])
            drawing.text(x + 12 + place * 16, y - 2, NAMES[query], size=9.5, fill=PAPER, weight=700)


def _outline(drawing: Drawing, panel: Panel, work: Work) -> None:
    """Holds the rows of one launch together, and those of its neighbours apart."""
    top = panel.y(work.stage, work.place.buffer_set, work.place.first_row)
    drawing.box(
        panel.x(work.start_ms), top, (work.end_ms - work.start_ms) * _PX_PER_MS, len(work.query_ids) * _ROW,
        rx=3, fill=PAPER, stroke=INK, stroke_width=1.1,
    )  # fmt: skip


def _exits(drawing: Drawing, panel: Panel) -> None:
    """Who leaves when, behind the last stage."""
    rows = {(work.query_ids, work.place) for work in panel.story.works if work.stage == STAGES - 1}
    for query_ids, place in sorted(rows):
        at_ms = panel.story.delivered_ms[query_ids[0]]
        first = panel.y(STAGES - 1, place.buffer_set, place.first_row)
        middle = first + len(query_ids) * _ROW / 2
        drawing.arrow([(panel.x(at_ms) + 2, middle), (panel.x(at_ms) + 26, middle)], colour="#2c8a4b", width=2)


def _held(drawing: Drawing, panel: Panel) -> None:
    """From each hold to the merge at its boundary."""
    merges = [done for done in panel.story.operations if done.kind == "merge"]
    for hold in (done for done in panel.story.operations if done.kind == "hold"):
        end_ms = min(m.at_ms for m in merges if m.at_ms >= hold.at_ms and m.place.buffer_set == hold.place.buffer_set)
        top = panel.y(hold.stage, hold.place.buffer_set, hold.place.first_row)
        drawing.box(
            panel.x(hold.at_ms) + 1, top + 1, (end_ms - hold.at_ms) * _PX_PER_MS - 2, hold.place.rows * _ROW - 2,
            rx=3, fill="none", stroke=_COLOURS[0], stroke_dasharray="3 3", stroke_width=1.3,
        )  # fmt: skip
        drawing.text(
            panel.x((hold.at_ms + end_ms) / 2), top + hold.place.rows * _ROW / 2, "held", size=10, fill=_COLOURS[0]
        )


def _tag(drawing: Drawing, panel: Panel, done: Done) -> None:
    """The operation's name where it happens: at the left edge of the rows it is about."""
    if done.kind not in _TAGS:
        return
    y = panel.y(done.stage, done.place.buffer_set, done.place.first_row) + done.place.rows * _ROW / 2
    x = panel.x(done.at_ms)
    top = y - done.place.rows * _ROW / 2
    drawing.box(x - 1.5, top, 3, done.place.rows * _ROW, fill=_TAGS[done.kind])
    drawing.pill(x + 52, y, done.kind, colour=_TAGS[done.kind], size=10.5)


if __name__ == "__main__":
    assert len(NAMES) >= MAX_BATCH
    FILE.write_text(draw())
