"""A site without engines: its launches have ended as soon as they are started, and the polling driver asks for them.

It stands in for a device where only the host's punctuality is of interest. No answer is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFinished
from dvabatch.runtime.driver import Driver
from dvabatch.runtime.faults import Faults
from dvabatch.runtime.polling import Pollable, PollingDriver
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.sites import Payload, Site


class InstantLaunches:
    """What a polling driver starts, and asks."""

    def __init__(self) -> None:
        self._ended: list[Event] = []

    @property
    def in_flight(self) -> bool:
        return bool(self._ended)

    def start(self, launch: Launch) -> None:
        self._ended.append(LaunchFinished(launch.id))

    def give_up(self, launch: Launch) -> bool:
        return False  # it has ended

    def poll(self) -> list[Event]:
        ended, self._ended = self._ended, []
        return ended


class InstantSite(Site[Pollable]):
    """A site of such launches."""

    def __init__(self, table: TensorTable) -> None:
        super().__init__(PollingDriver, table)

    @contextmanager
    def starter(
        self, driver: Driver[Pollable], payload: Payload, pads: Mapping[str, float], faults: Faults | None = None
    ) -> Iterator[InstantLaunches]:
        """Nothing computes here: payloads are not asked for, and there is nothing that a fault could strike."""
        yield InstantLaunches()
