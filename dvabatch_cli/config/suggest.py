"""The nearest known name to one that is not known."""

import difflib
from collections.abc import Iterable

_LIKENESS = 0.5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean "max_batch_size"?`, or nothing when no known name is near.

    >>> did_you_mean("max_batchsize", ["max_batch_size", "instances"])
    'did you mean "max_batch_size"?'
    >>> did_you_mean("xyz", ["instances"])
    ''
    """
    lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name[:200].lower(), lower, n=1, cutoff=_LIKENESS)
    return f'did you mean "{lower[near[0]]}"?' if near else ""


def listed(names: Iterable[str]) -> str:
    """`one of "a", "b"`, or `"a"` when there is only one."""
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted)}"
