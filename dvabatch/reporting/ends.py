"""How the queries of some runs ended: the share that was answered, and why the others were not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .series import Run, points

_UNANSWERED: Final = ("rejected", "failed", "cancelled")
_MOST_REASONS: Final = 8


@dataclass(frozen=True, slots=True)
class Ends:
    """Counts over all runs: `unanswered` by how they ended, and `reasons` by why, those that are 0 left out."""

    offered: int
    completed: int
    unanswered: Mapping[str, int]
    reasons: Mapping[str, int]
    launches_given_up: int

    @property
    def answered(self) -> float:
        """The share of the offered queries; 1 where none was offered."""
        return self.completed / self.offered if self.offered else 1.0

    def to_json(self) -> dict[str, Any]:
        return {
            "offered": self.offered,
            "completed": self.completed,
            "answered": float(f"{self.answered:.6g}"),
            "unanswered": dict(self.unanswered),
            "reasons": dict(self.reasons),
            "launches_given_up": self.launches_given_up,
        }

    def in_words(self) -> str | None:
        """What did not complete and why; None where all did and no launch was given up."""
        told = []
        lost = sum(self.unanswered.values())
        if lost:
            how = ", ".join(f"{count:,} {end}" for end, count in self.unanswered.items())
            most = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
            why = [f'{count:,} "{reason}"' for reason, count in most[:_MOST_REASONS]]
            why += [f"and {len(most) - _MOST_REASONS} more reasons"] if len(most) > _MOST_REASONS else []
            told.append(f"{lost:,} of {self.offered:,} queries got no answer, {share_text(self.answered)} did: {how}")
            told += [f"why: {', '.join(why)}"] if why else []
        if self.launches_given_up:
            told.append(f"{self.launches_given_up:,} launch{'es' if self.launches_given_up > 1 else ''} given up")
        return "; ".join(told) or None


def ends_of(runs: Sequence[Run]) -> Ends:
    """All runs together."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    given_up = 0
    for run in runs:
        counts.update({how: run["counts"].get(how, 0) for how in ("offered", "completed", *_UNANSWERED)})
        reasons.update(run.get("reasons") or {})
        given_up += (run.get("faults") or {}).get("launches_given_up", 0)
    unanswered = {how: counts[how] for how in _UNANSWERED if counts[how]}
    return Ends(counts["offered"], counts["completed"], unanswered, dict(+reasons), given_up)


def unanswered_lines(report: Mapping[str, Any]) -> list[str]:
    """A line for each policy, over its loads and seeds, that left queries without an answer or launches given up."""
    by_policy: dict[str, list[Run]] = {}
    for point in points(report["runs"]):
        by_policy.setdefault(point.policy, []).extend(point.runs)
    told = {policy: ends_of(runs).in_words() for policy, runs in by_policy.items()}
    return [f"{policy}: {words}" for policy, words in told.items() if words is not None]


def share_text(share: float) -> str:
    """A share of the queries as a percentage: 100 % is said of nothing less than all of them."""
    return "100 %" if share == 1 else "> 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"
