"""How fast the host is, by what queueing its launches takes, for the machine to hear of."""

from __future__ import annotations

from typing import Final

from dvabatch.batching.commands import Launch
from dvabatch.batching.costs import Costs
from dvabatch.batching.events import HostPaced

# By which each launch moves what is believed, up or down: so it settles at their median, and wanders by a twentieth or so about
# it where they take a quarter more or less than that. Three times as slow a host is believed after some fifty launches.
_STEP: Final = 1.02
_TELLS: Final = 1.2  # a change by less is not told: each costs the thread some microseconds
_FASTEST: Final = 0.25
_SLOWEST: Final = 8.0


class HostPace:
    """How many times as long launches take the host now as while the profile was measured.

    Those of fresh batches tell it that go through all stages, begin their buffer set and find others under way: they ask for
    the same calls by their rows, and the profile says what those took.
    """

    __slots__ = ("_costs", "_last_stage", "_pace", "_told")

    def __init__(self, costs: Costs, last_stage: int) -> None:
        self._costs = costs
        self._last_stage = last_stage
        self._pace = self._told = 1.0

    @property
    def told(self) -> float:
        """What was told last; 1 before."""
        return self._told

    def note(self, launch: Launch, took_ns: int) -> None:
        """Queueing a launch, beside others, kept the thread for so long."""
        if launch.first_stage or launch.place.first_row or launch.last_stage < self._last_stage:
            return
        pace = self._costs.pace_of(took_ns, launch.place.rows)
        if pace is not None:
            moved = self._pace * _STEP if pace > self._pace else self._pace / _STEP
            self._pace = min(_SLOWEST, max(_FASTEST, moved))

    def news(self) -> HostPaced | None:
        """What has not been told yet; None while it is near what was."""
        if self._told / _TELLS < self._pace < self._told * _TELLS:
            return None
        self._told = self._pace
        return HostPaced(round(100 * self._pace))
