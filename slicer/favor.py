"""Which batch size a part of a model favours, read from measured latencies without being led by their noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

from slicer.errors import SliceError

FAVOURED = 0.95  # of the best throughput: the smallest batch that reaches it is favoured
CHANGE = 0.02  # of the whole's throughput: what a change of favour by one doubling must win back
SMALLER = 0.1  # of a part's throughput: what a doubling of its batch must win


def favored_batch(latency_ms: Mapping[int, float]) -> int:
    """The smallest batch whose throughput reaches 95 % of the best; ties go to the smaller batch."""
    rates = _rates(latency_ms)
    return next(size for size, rate in rates.items() if rate >= FAVOURED)


def favored_batches(latencies_ms: Sequence[Mapping[int, float]], shares: Sequence[float]) -> list[int]:
    """What each part of a chain favours, where neighbours favour the same unless a change pays.

    Part by part, noise of a few percent moves the favour of a part with a flat curve between all sizes. So the parts
    are fitted together: throughput lost below 95 % of a part's best and what larger batches must win, weighted by the
    part's share of the whole's time, against the changes along the chain. `latencies_ms` must hold the same sizes for
    each part.
    """
    if not latencies_ms:
        return []
    sizes = sorted(latencies_ms[0])
    costs = [
        [share * (SMALLER * log2(size) + max(0.0, FAVOURED - rates[size])) for size in sizes]
        for rates, share in ((_rates(latency), share) for latency, share in zip(latencies_ms, shares, strict=True))
    ]
    step = [[CHANGE * abs(log2(one / other)) for one in sizes] for other in sizes]
    # paths[size] = the least cost so far of ending at that size, and the sizes on the way
    paths: list[tuple[float, tuple[int, ...]]] = [(cost, (place,)) for place, cost in enumerate(costs[0])]
    for here in costs[1:]:
        paths = [
            min((before + step[place][path[-1]] + cost, (*path, place)) for before, path in paths)
            for place, cost in enumerate(here)
        ]
    return [sizes[place] for place in min(paths)[1]]


def _rates(latency_ms: Mapping[int, float]) -> dict[int, float]:
    """Throughput by batch size, as a share of the best.

    Each is first replaced by the median of itself and its neighbours, since one lucky measurement would otherwise
    decide.
    """
    sizes = sorted(latency_ms)
    if not sizes:
        raise SliceError("no latency was measured, wanted at least one batch size")
    rates = [size / max(latency_ms[size], 1e-9) for size in sizes]
    padded = [rates[0], *rates, rates[-1]]
    smooth = [sorted(padded[index : index + 3])[1] for index in range(len(rates))]
    best = max(smooth)
    return {size: rate / best for size, rate in zip(sizes, smooth, strict=True)}
