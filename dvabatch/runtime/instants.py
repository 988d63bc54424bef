"""Instants of a run: integer nanoseconds from its beginning."""

from typing import Final

NEVER: Final = 1 << 62  # 146 years: later than anything that is due
