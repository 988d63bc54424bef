"""What a latency table may hold: its values read, or refused with their place in it.

Raises, everywhere: ProfileError, naming the place, what came and what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dvabatch.batching.curve import Curve
from dvabatch.batching.errors import ProfileError

MAX_BATCH: Final = 65_536
LONGEST_MS: Final = 1e9  # of one stage, or one cost: eleven days, so that a launch's sum of nanoseconds fits 64 bits


def times(value: object, at: str, stages: int = 1) -> Curve:
    """Milliseconds by batch size."""
    found, most = curve(value, at), stages * LONGEST_MS
    longest = max(y for _, y in found.points)
    if longest > most:
        raise ProfileError(f"{at}: {longest:g} ms are more than the {most:g} that can be simulated: give milliseconds")
    return found


def curve(value: object, at: str) -> Curve:
    """Values by positive size."""
    points = sorted((number(x, at), number(y, f"{at}.{x}")) for x, y in mapping(value, at).items())
    if not points or points[0][0] <= 0:
        raise ProfileError(f"{at}: wanted one or more positive sizes, got {[x for x, _ in points]}")
    return Curve(tuple(points))


def crowding(value: object, at: str) -> dict[int, Curve]:
    """Slowdowns by batch size, and for each by the number at once."""
    found: dict[int, Curve] = {}
    for key, of_size in mapping(value, at).items():
        size = number(key, f"{at}: batch size {key!r}")
        if size != int(size) or not 1 <= size <= MAX_BATCH or int(size) in found:
            raise ProfileError(f"{at}: batch size {key!r}, wanted integers from 1 to {MAX_BATCH}, each once")
        found[int(size)] = curve(of_size, f"{at}.{key}")
    if not found:
        raise ProfileError(f"{at} is empty, wanted slowdowns by batch size and number at once")
    return found


def mapping(value: object, at: str) -> Mapping[str, object]:
    """An object."""
    if not isinstance(value, Mapping):
        raise ProfileError(f"{at}: wanted an object, got {value!r}")
    return value


def number(value: object, at: str) -> float:
    """A finite number of 0 or more."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ProfileError(f"{at}: wanted a number, got {value!r:.80}") from None
    if not 0 <= found < float("inf"):
        raise ProfileError(f"{at}: wanted a number of 0 or more, got {value!r:.80}")
    return found


def truth(value: object, at: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ProfileError(f"{at}: wanted true or false, got {value!r}")
    return value


def integer(value: object, at: str) -> int:
    """An integer of 1 or more."""
    whole = number(value, at)
    if whole != int(whole) or whole < 1:
        raise ProfileError(f"{at}: wanted an integer of 1 or more, got {value!r}")
    return int(whole)
