"""Who a driver tells: a journal that measures, or futures that answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future

from dvabatch.batching.commands import Launch
from dvabatch.batching.query import Query
from dvabatch.runtime.journal import Journal, Outcome
from engines.base import Array
from engines.errors import EngineError


class JournalObserver:
    """Writes a journal, and keeps the answers of sampled queries for checking after the run."""

    def __init__(self, journal: Journal, sample: Collection[int] = ()) -> None:
        self.journal = journal
        self.answers: dict[int, Mapping[str, Array]] = {}
        self._sample = frozenset(sample)

    def admitted(self, query: Query, now_ns: int, *, late_free: bool) -> None:
        journal = self.journal
        journal.arrival_ns[query.id] = query.arrival_ns
        journal.admitted_ns[query.id] = now_ns
        journal.late_free[query.id] = late_free

    def launched(self, launch: Launch) -> None:
        self.journal.launched(launch)

    def queued(self, launch: Launch, took_ns: int, *, idle: bool) -> None:
        self.journal.queued(launch, took_ns, idle=idle)

    def copied(self, count: int) -> None:
        self.journal.bytes_copied += count

    def decided(self, took_ns: int) -> None:
        self.journal.decision_ns.append(took_ns)

    def delivered(self, query_id: int, now_ns: int, answer: Callable[[], Mapping[str, Array]]) -> None:
        self.journal.ended(query_id, Outcome.COMPLETED, now_ns)
        if query_id in self._sample:
            self.answers[query_id] = answer()

    def ended(self, query_id: int, outcome: Outcome, now_ns: int, reason: str) -> None:
        self.journal.because(reason)
        self.journal.ended(query_id, outcome, now_ns)


class ReleasingObserver(JournalObserver):
    """Writes a journal, and says when a query has ended: another may then be let in."""

    def __init__(self, journal: Journal, sample: Collection[int], release: Callable[[], None]) -> None:
        super().__init__(journal, sample)
        self._release = release

    def delivered(self, query_id: int, now_ns: int, answer: Callable[[], Mapping[str, Array]]) -> None:
        super().delivered(query_id, now_ns, answer)
        self._release()

    def ended(self, query_id: int, outcome: Outcome, now_ns: int, reason: str) -> None:
        super().ended(query_id, outcome, now_ns, reason)
        self._release()


class RejectedError(EngineError):
    """The query never entered; the message says why."""


class FutureObserver:
    """Answers each query's future. Futures are registered before their query is posted."""

    def __init__(
        self,
        finish: Callable[[int, Mapping[str, Array]], Mapping[str, Array]],
        release: Callable[[int], None],
    ) -> None:
        """`finish` makes the answer that the owner sees; `release` is called once for every query that has ended."""
        self.futures: dict[int, Future[Mapping[str, Array]]] = {}
        self._finish = finish
        self._release = release

    def admitted(self, query: Query, now_ns: int, *, late_free: bool) -> None: ...

    def launched(self, launch: Launch) -> None: ...

    def queued(self, launch: Launch, took_ns: int, *, idle: bool) -> None: ...

    def copied(self, count: int) -> None: ...

    def decided(self, took_ns: int) -> None: ...

    def delivered(self, query_id: int, now_ns: int, answer: Callable[[], Mapping[str, Array]]) -> None:
        future = self.futures.pop(query_id)
        if future.set_running_or_notify_cancel():  # else its owner cancelled it a moment ago
            future.set_result(self._finish(query_id, answer()))
        self._release(query_id)

    def ended(self, query_id: int, outcome: Outcome, now_ns: int, reason: str) -> None:
        future = self.futures.pop(query_id)
        self._release(query_id)
        if outcome is not Outcome.CANCELLED and future.set_running_or_notify_cancel():
            future.set_exception(RejectedError(reason) if outcome is Outcome.REJECTED else EngineError(reason))
