"""How much the host disturbed an attempt at a point: measured again it may be left in peace, and the quietest attempt counts.

Every contender's points are judged alike, and not by how long they took to answer. What queueing launches took, over
the profile's, is known of runs only in which enough batches began while others were under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from typing_extensions import Self

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
