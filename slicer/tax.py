"""The slicing tax: what segments cost because they are run one by one, and what they would take without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Tax:
    """What being cut costs: milliseconds for every run of a session, and for every byte of a row that crosses a cut."""

    run_ms: float
    byte_ms: float

    def __post_init__(self) -> None:
        if not (self.run_ms >= 0 and self.byte_ms >= 0):
            raise ValueError(f"a tax of {self.run_ms} ms a run and {self.byte_ms} ms a byte came, wanted 0 or more")


def tax_of(chain_ms: Mapping[int, float], whole_ms: Mapping[int, float], cut_bytes: Sequence[int]) -> Tax:
    """What a chain of segments takes over the whole model, by its cuts and by the bytes a row that cross them.

    Both are milliseconds by batch size, the least and the largest of which are looked at: a run costs the same at either,
    bytes cost by the row. Where there is one size, all of it goes to the runs.
    """
    few, many = min(whole_ms), max(whole_ms)
    excess_ms = {size: max(0.0, chain_ms[size] - whole_ms[size]) for size in (few, many)}
    crossing = sum(cut_bytes)
    byte_ms = 0.0
    if many > few and crossing:
        byte_ms = max(0.0, excess_ms[many] - excess_ms[few]) / (many - few) / crossing
    run_ms = max(0.0, excess_ms[few] - byte_ms * crossing * few) / max(1, len(cut_bytes))
    return Tax(run_ms, byte_ms)


def relieve(latencies_ms: Sequence[Mapping[int, float]], cut_bytes: Sequence[int], tax: Tax) -> list[dict[int, float]]:
    """Segment times without the tax that each of them paid; half its time stays in any case.

    The bytes of a cut are paid half by the segment that writes them, half by the one that reads them.
    """
    borders = [(before + behind) / 2 for before, behind in pairwise([0, *cut_bytes, 0])]
    return [
        {size: max(ms - tax.run_ms - tax.byte_ms * border * size, ms / 2) for size, ms in latency.items()}
        for latency, border in zip(latencies_ms, borders, strict=True)
    ]
