"""What can go wrong inside the batching core: each is a caller's mistake, never a query's fate."""

from __future__ import annotations


class BatchingError(Exception):
    """The machine was asked for something that its rules forbid."""


class EventError(BatchingError):
    """A driver reported something that cannot have happened: time ran backwards, or an unknown launch ended."""


class OperationError(BatchingError):
    """A policy answered with an operation that is not legal in the view it was given."""


class TransitionError(BatchingError):
    """A batch or executor met an event that its state table does not hold."""


class LawError(BatchingError):
    """A law of the machine does not hold any more: a defect of the machine itself."""


class ProfileError(BatchingError):
    """A latency table cannot be read as a profile, or was asked for a size that it does not cover."""
