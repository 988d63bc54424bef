"""A session whose subclasses act when it is opened, without repeating how that is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from slicer.sessions import Session


class HookedSession(Session, ABC):
    """Opens as ever, then calls `opened`."""

    def __init__(
        self,
        model: bytes | Path,
        *,
        threads: int,
        optimise: bool = True,
        folded_to: Path | None = None,
        weights: Path | None = None,
    ) -> None:
        super().__init__(model, threads=threads, optimise=optimise, folded_to=folded_to, weights=weights)
        self.opened(model, folded_to)

    @abstractmethod
    def opened(self, model: bytes | Path, folded_to: Path | None) -> None:
        """What the session was opened on, and where it wrote its folded model, if it was asked to."""
