"""A site without engines: its launches have ended as soon as they are started, and the polling driver asks for them.

It stands in for a device where only the host's punctuality is of interest. No answer is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dvabatch.batching.commands import Launch
from dvabatch.batching.events import Event, LaunchFinished
from dvabatch.batching.machine import Machine
from dvabatch.runtime.driver import Driver, Observer
from dvabatch.runtime.faults import Faults
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.trace import Recorder
from dvabatch_cli.sites import Payload


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


class InstantSite:
    """A `Site` of such launches."""

    def __init__(self, table: TensorTable) -> None:
        self._table = table

    def driver(
        self,
        machine: Machine,
        observer: Observer,
        recorder: Recorder | None = None,
        timeout_ns: int | None = None,
        faults: Faults | None = None,
    ) -> PollingDriver:
        return PollingDriver(machine, self._table, observer, recorder=recorder, timeout_ns=timeout_ns, faults=faults)

    @contextmanager
    def starter(
        self, driver: Driver[Any], payload: Payload, pads: Mapping[str, float], faults: Faults | None = None
    ) -> Iterator[InstantLaunches]:
        """Nothing computes here: payloads are not asked for, and there is nothing that a fault could strike."""
        yield InstantLaunches()

    def settle(self) -> None:
        """Nothing is counted here."""

    def facts(self) -> dict[str, int]:
        return {}
