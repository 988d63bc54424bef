"""Draws the batch states from the very table that the machine obeys: `python -m docs.state_diagram`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from docs.svg import INK, MUTED, Drawing
from dvabatch.batching.states import BATCH_TRANSITIONS, BatchEvent, BatchState

FILE = Path(__file__).parent / "figures" / "batch_states.svg"


@dataclass(frozen=True, slots=True)
class Node:
    """Where a state is drawn (its middle and size, in pixels), what it says of itself, and its colours."""

    x: float
    y: float
    width: float
    height: float
    gloss: str
    fill: str
    stroke: str

    @property
    def wide(self) -> bool:
        """Whether it lies along a whole row."""
        return self.width > 300


_LIVE = ("#e8f1fd", "#2f6fd0")
_GOOD = ("#e3f5e8", "#2c8a4b")
_ON = ("#f3ecfb", "#7a4fb5")
_BAD = ("#fdeaea", "#c23b3b")
_NONE = ("#f0f2f4", "#7b8794")

# Live states in the middle row; what all of them may come to lies along the whole row, so that no arrows cross.
NODES: Mapping[BatchState, Node] = {
    BatchState.EMPTY: Node(455, 95, 760, 50, "all its queries were cancelled", *_NONE),
    BatchState.HELD: Node(150, 250, 150, 96, "waits for its tail", *_LIVE),
    BatchState.READY: Node(455, 250, 160, 96, "at a boundary, free to act", *_LIVE),
    BatchState.RUNNING: Node(760, 250, 150, 96, "a launch is in flight", *_LIVE),
    BatchState.DELIVERED: Node(1000, 250, 160, 60, "its queries are answered", *_GOOD),
    BatchState.MERGED: Node(300, 385, 190, 54, "its queries live on in its head", *_ON),
    BatchState.SPLIT: Node(610, 385, 190, 54, "its queries live on in its parts", *_ON),
    BatchState.FAILED: Node(455, 500, 760, 50, "a launch of it failed, or what it needs is lost", *_BAD),
}
_SPACING = 27.0  # between arrows of one pair of states


def draw(table: Mapping[tuple[BatchState, BatchEvent], BatchState] = BATCH_TRANSITIONS) -> str:
    """The picture as SVG.

    Raises:
        KeyError: the table names a state that has no place here yet.
    """
    drawing = Drawing(1108, 556, "The states of a batch")
    drawing.text(28, 34, "The states of a batch", size=19, weight=700, anchor="start")
    drawing.text(
        1080,
        34,
        "drawn from BATCH_TRANSITIONS: what is not an arrow here is refused",
        size=12,
        fill=MUTED,
        anchor="end",
    )
    between: dict[frozenset[BatchState], list[tuple[BatchState, BatchEvent, BatchState]]] = defaultdict(list)
    for (source, event), target in sorted(table.items()):
        between[frozenset((source, target))].append((source, event, target))
    _entry(drawing, NODES[BatchState.READY])
    for arrows in between.values():
        for place, (source, event, target) in enumerate(arrows):
            offset = (place - (len(arrows) - 1) / 2) * _SPACING
            _arrow(drawing, NODES[source], NODES[target], event, offset)
    for state in BatchState:
        _node(drawing, state, NODES[state])
    return drawing.render()


def _entry(drawing: Drawing, ready: Node) -> None:
    """A batch is born READY: by new, as a stretch's tail, as a split's part."""
    x, y = ready.x - ready.width / 2 - 62, ready.y - ready.height / 2 - 34
    drawing.add("circle", cx=x, cy=y, r=6, fill=INK)
    drawing.arrow([(x, y), (ready.x - ready.width / 2 + 14, ready.y - ready.height / 2)], colour=INK)
    drawing.text(x - 12, y, "new, a stretch's tail,", size=11, fill=INK, anchor="end")
    drawing.text(x - 12, y + 14, "a split's part", size=11, fill=INK, anchor="end")


def _node(drawing: Drawing, state: BatchState, node: Node) -> None:
    drawing.box(
        node.x - node.width / 2, node.y - node.height / 2, node.width, node.height,
        rx=10, fill=node.fill, stroke=node.stroke, stroke_width=1.8,
    )  # fmt: skip
    wide = node.wide
    drawing.text(
        node.x - (170 if wide else 0), node.y - (0 if wide else 9), state.name, size=15, weight=700, fill=node.stroke
    )
    drawing.text(
        node.x - (110 if wide else 0), node.y + (0 if wide else 12), node.gloss,
        size=11, fill=MUTED, anchor="start" if wide else "middle",
    )  # fmt: skip


def _arrow(drawing: Drawing, source: Node, target: Node, event: BatchEvent, offset: float) -> None:
    """Level where the boxes lie beside each other, upright where one lies over the other, else from corner to corner."""
    label = event.name.lower()
    right, down = target.x > source.x, target.y > source.y
    if abs(source.y - target.y) < (source.height + target.height) / 2:
        y = source.y + offset
        start = source.x + (1 if right else -1) * source.width / 2
        end = target.x - (1 if right else -1) * (target.width / 2 + 2)
        drawing.arrow([(start, y), (end, y)])
        drawing.text((start + end) / 2, y - 9, label, size=12)
        return
    start = source.y + (1 if down else -1) * source.height / 2
    end = target.y - (1 if down else -1) * (target.height / 2 + 2)
    if target.wide:
        x = source.x + offset
        drawing.arrow([(x, start), (x, end)])
        drawing.text(x + 7, start + (12 if down else -12), label, size=12, anchor="start")
        return
    x0 = source.x + (1 if right else -1) * source.width / 3
    x1 = target.x - (1 if right else -1) * target.width / 6
    drawing.arrow([(x0, start), (x1, end)])
    drawing.text(
        (x0 + x1) / 2 + (10 if right else -10),
        (start + end) / 2 - 4,
        label,
        size=12,
        anchor="start" if right else "end",
    )


if __name__ == "__main__":
    FILE.write_text(draw())
