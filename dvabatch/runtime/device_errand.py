"""A few bytes to a device and back, by the calls that a launch makes: they keep those calls in the caches.

A polling driver does nothing but ask, for hundreds of microseconds, and then uploads, graphs and downloads go through code of
the GPU's driver that has gone cold. On an H200 what queues a launch takes 30 us in a row, and 60 to 120 us after a while.
"""

from __future__ import annotations

from engines.device import ALIGNMENT, Device


class Errand:
    """One of them is under way at the most."""

    def __init__(self, device: Device, *, graphs: bool) -> None:
        """`graphs` says whether launches are captured graphs."""
        self._there, self._back = device.stream(), device.stream()
        self._arrived, self._over = device.event(), device.event()
        self._sent, self._brought = device.pinned(ALIGNMENT), device.pinned(ALIGNMENT)
        self._target = device.allocate(2 * ALIGNMENT, "errands")
        self._graph = self._there.capture(self._compute) if graphs else None

    def run(self) -> None:
        """Sets out, unless the last one is not back.

        Raises:
            DeviceError: the device has failed.
        """
        if not self._over.query():
            return
        self._there.upload(self._target, self._sent)
        if self._graph is None:
            self._compute()
        else:
            self._there.launch(self._graph)
        self._there.record(self._arrived)
        self._back.wait(self._arrived)
        self._back.download(self._brought, self._target + ALIGNMENT)
        self._back.record(self._over)

    def _compute(self) -> None:
        self._there.copy(self._target + ALIGNMENT, self._target, ALIGNMENT)
