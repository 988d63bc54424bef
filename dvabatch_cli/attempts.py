"""Attempts at a point: one that its host disturbed is measured again, and the quietest attempt counts.

Every contender's points are judged alike, and not by how long they took to answer. What queueing launches took, over
the profile's, is known of runs only in which enough batches began while others were under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from typing_extensions import Self

from dvabatch.reporting.measured import Queries

_SLOW = 1.25  # queueing launches takes so many times as long as in the profile: the host is in a slow spell


@dataclass(frozen=True, order=True, slots=True)
class Disturbance:
    """What a host did to a run, the worst first: of two runs the lesser counts."""

    late: bool  # its sender was
    unsteady: bool  # its speed changed meanwhile, as the twin tells
    pace: float  # of queueing launches, over the profile's; infinite where nobody can tell: no quieter than any that is known

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Self:
        """What a run says of it."""
        twin = run.get("twin")
        unsteady = twin is not None and twin["speed"] is not None and not twin["steady"]
        pace = run.get("queueing_us", {}).get("pace")
        return cls(run["late"], unsteady, inf if pace is None else pace)

    def reason(self, run: Mapping[str, Any]) -> str | None:
        """Why that run is to be measured again; None if it is not."""
        if self.late:
            return str(run["invalid_reasons"][0])
        if self.unsteady:
            return "the host's speed changed meanwhile"
        if _SLOW < self.pace < inf:
            return f"queueing a launch took the host {self.pace:.2f} times as long as in the profile"
        return None


def is_done(run: Mapping[str, Any], most: int) -> bool:
    """Whether a point that was kept is not to be measured again: an interruption may have come before its other attempts."""
    return run.get("attempts", most) >= most or Disturbance.of(run).reason(run) is None


class Attempts:
    """What was measured at one point so far."""

    def __init__(self, most: int) -> None:
        """At most so many are made."""
        self._most = most
        self._made = 0
        self._quietest: Disturbance | None = None
        self._run: dict[str, Any] = {}
        self._queries: Queries | None = None
        self.again: str | None = None  # why another attempt is to be made; None: the point is done

    def go_on_from(self, run: dict[str, Any], queries: Queries) -> None:
        """An interruption came after these attempts, of which this one counted."""
        self._quietest, self._run, self._queries = Disturbance.of(run), run, queries
        self._made = run["attempts"]

    def add(self, run: dict[str, Any], queries: Queries) -> bool:
        """One more; whether it is the one that counts so far."""
        self._made += 1
        disturbance = Disturbance.of(run)
        counts = self._quietest is None or disturbance <= self._quietest
        if counts:
            self._quietest, self._run, self._queries = disturbance, run, queries
        self._run["attempts"] = self._made
        reason = disturbance.reason(run)
        if reason is None and not counts:
            reason = "nothing tells the pace of its host"
        self.again = reason if self._made < self._most else None
        return counts

    @property
    def best(self) -> tuple[dict[str, Any], Queries]:
        """The attempt that counts, of one at least: its run, which says how many were made, and its queries."""
        assert self._queries is not None
        return self._run, self._queries
