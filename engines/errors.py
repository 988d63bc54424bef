"""What can go wrong with engines, along the way from a stage file to an answer."""

from __future__ import annotations


class EngineError(Exception):
    """A stage cannot be built, opened or run: what came, what was wanted, what to do."""


class BackendMissingError(EngineError):
    """The backend, or what it needs of the machine, is not there; the message says what to install."""


class CacheError(EngineError):
    """The engine cache cannot be read or written."""
