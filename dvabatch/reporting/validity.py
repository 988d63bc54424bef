"""Whether a run measured what it says: was the sender on time, at its rate, and were the answers there?

A run that breaks a rule is INVALID and says why. A policy that could not keep up is something else: the run is
*saturated*, and valid, since a backlog that grows under an on-time sender is a finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from .measured import Admission, IntArray, Mask, Queries, Status
from .percentiles import PERCENTILES, rank

LATE_MS: Final = 1.0
LATE_OF_MEDIAN_RESPONSE: Final = 0.05
RATE_TOLERANCE: Final = 0.01
SHED_LIMIT: Final = 0.01

_CHUNK: Final = 1 << 16
_BLOCKS: Final = 20  # of equal duration, to see how unevenly queries arrive
_NOISE_FACTOR: Final = 0.4
_FEWEST_WAITING: Final = 4
_GROWTH: Final = 1.25


def invalid_reasons(queries: Queries, of_sender: Sequence[str], error_limit: float) -> list[str]:
    """Why the run is INVALID, one sentence a broken rule; empty for a valid run.

    * Those of the sender, as `sender_reasons` finds them.
    * More than `error_limit` of the offered queries failed.
    * Nothing completed, so nothing was measured.
    """
    reasons = []
    if queries.count(Status.COMPLETED) == 0:
        reasons.append(f"none of the {len(queries)} offered queries completed: nothing was measured")
    reasons += of_sender
    failed = queries.count(Status.FAILED)
    if failed > error_limit * len(queries):
        reasons.append(
            f"{failed} of {len(queries)} queries failed, wanted at most {error_limit:.3g} of them: see their reasons"
        )
    return reasons


def sender_reasons(queries: Queries, median_response_ms: float | None) -> list[str]:
    """Those that lie with the sender and its host alone: the same measurement, made again, may be free of them.

    * The sender was late: p99 of the counted lateness > 1 ms and > 5 % of the median response.
    * It sent at another rate than its schedule: the span from the first to the last counted admission differs from
      the scheduled span of the same queries by more than 1 %, and by more than the 1 ms that any one may be late.

    Lateness counts only where an executor was free between the scheduled instant and the admission (`late_free`);
    elsewhere the query could not have entered anyway, and its admission is taken to be on time.
    """
    sent = queries.admitted_ns >= 0
    if not sent.any():
        return []
    return [*_late(queries, sent, median_response_ms), *_off_rate(queries, sent)]


def _late(queries: Queries, sent: Mask, median_response_ms: float | None) -> list[str]:
    lateness = queries.lateness_ns()
    if queries.late_free is not None:
        lateness[~queries.late_free[sent]] = 0
    position = rank(PERCENTILES["p99"], len(lateness)) - 1
    lateness.partition(position)
    p99_ms = int(lateness[position]) / 1e6
    allowed_ms = max(LATE_MS, LATE_OF_MEDIAN_RESPONSE * (median_response_ms or 0))
    if p99_ms <= allowed_ms:
        return []
    return [
        f"the sender was late: p99 lateness {p99_ms:.3f} ms, wanted at most {allowed_ms:.3f} ms"
        " (1 ms or 5 % of the median response): free a core or lower the rate"
    ]


def _off_rate(queries: Queries, sent: Mask) -> list[str]:
    scheduled = _span_ns(queries.arrival_ns, sent)
    if queries.late_free is None:
        sent_in = _span_ns(queries.admitted_ns, sent)
    else:  # a forgiven admission stands at its scheduled instant
        instants = np.where(queries.late_free, queries.admitted_ns, queries.arrival_ns)
        sent_in = _span_ns(instants, sent)
    if abs(sent_in - scheduled) <= max(RATE_TOLERANCE * scheduled, LATE_MS * 1e6):
        return []
    return [
        f"sent {np.count_nonzero(sent)} queries in {sent_in / 1e9:.3f} s, scheduled in {scheduled / 1e9:.3f} s:"
        " wanted the rate within 1 %: free a core or lower the rate"
    ]


def _span_ns(instants: IntArray, where: Mask) -> int:
    latest = int(instants.max(where=where, initial=np.iinfo(np.int64).min))
    return latest - int(instants.min(where=where, initial=np.iinfo(np.int64).max))


def saturated(queries: Queries, admission: Admission, lost_ns: int | None = None) -> bool:
    """Whether the policy could not keep up with its load.

    A stable queue, however deep, comes back to its lowest level again and again; a saturated one leaves it for
    good. So the *trough* of the backlog (queries in the system as an arrival finds them) in the last quarter of the
    schedule is held against the trough between its first eighth, by when a stable system has filled, and its
    middle. The run is saturated if the trough rose

    * by more than 0.4 standard deviations of the number of arrivals (read off the schedule's own 20 blocks, so a
      bursty load is given more room), and by more than 4 queries, and
    * while the last quarter's mean backlog is at least 1.25 times that of the reference window.

    On 4,000 M/D/1 runs of 2,000 queries each this flags none at a load of 0.9 and 99.8 % at 1.1. Runs of a few
    hundred queries are too short to tell a load just below 1 from one just above.

    It is also saturated if it refused more than 1 % of the queries for want of room. A query counts as refused for
    that if one at least as long was served: otherwise it may just have been too long. Nor does it count from `lost_ns` on,
    when nothing could run any more.

    Under push admission the backlog counts from the admission: what a late sender holds back is the sender's.
    """
    if _refused_for_room(queries, lost_ns) > SHED_LIMIT * len(queries):
        return True
    entered = queries.admitted_ns if admission == "push" else queries.arrival_ns
    served = (queries.status != Status.REJECTED) & (queries.done_ns >= 0) & (entered >= 0)
    arrivals, left = entered[served], queries.done_ns[served]
    arrivals.sort()  # in place, both: they are copies already
    left.sort()
    if len(arrivals) < _BLOCKS:
        return False
    begin, span = int(arrivals[0]), int(arrivals[-1] - arrivals[0])
    eighth, middle, quarter = np.searchsorted(arrivals, [begin + span // 8, begin + span // 2, begin + 3 * span // 4])
    if span == 0 or eighth == middle:
        return False
    before_trough, before_mean = _backlog(arrivals, left, int(eighth), int(middle))
    after_trough, after_mean = _backlog(arrivals, left, int(quarter), len(arrivals))
    noise = _arrival_noise(arrivals)
    risen = after_trough - before_trough > max(_NOISE_FACTOR * noise, _FEWEST_WAITING)
    return risen and after_mean >= _GROWTH * before_mean


def _backlog(arrivals: IntArray, left: IntArray, first: int, end: int) -> tuple[int, float]:
    """The smallest and the mean number in the system as arrivals first..end-1 find it."""
    trough, total = len(arrivals), 0
    for begin in range(first, end, _CHUNK):  # in chunks: a million arrivals need no third array
        stop = min(begin + _CHUNK, end)
        found = np.arange(begin, stop) - np.searchsorted(left, arrivals[begin:stop], side="right")
        trough, total = min(trough, int(found.min())), total + int(found.sum())
    return trough, total / (end - first)


def _arrival_noise(arrivals: IntArray) -> float:
    """The standard deviation of how many queries arrive in the whole span, estimated from blocks of it."""
    edges = np.linspace(float(arrivals[0]), float(arrivals[-1]), _BLOCKS + 1)
    counts = np.diff(np.searchsorted(arrivals, edges[1:-1]), prepend=0, append=len(arrivals))
    return math.sqrt(_BLOCKS * float(np.var(counts, ddof=1)))


def _refused_for_room(queries: Queries, lost_ns: int | None) -> int:
    rejected = queries.status == Status.REJECTED
    if lost_ns is not None:
        rejected &= queries.done_ns < lost_ns
    if queries.length is not None:
        served = queries.length[queries.status == Status.COMPLETED]
        rejected &= queries.length <= (int(served.max()) if len(served) else -1)
    return int(np.count_nonzero(rejected))
