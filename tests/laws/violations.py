"""What the hand-written checks raise."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise of the machine does not hold, as seen from outside by a driver that only knows events and commands."""
