"""A run that is lost is cut short: so many queries wait although their time is up that nothing can make up for them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from dvabatch.batching.machine import Policy
from dvabatch.batching.operations import Operation
from dvabatch.batching.view import View


class LostRun(Exception):
    """At `now_ns`, at least `lost` queries of the run were still waiting after their time, and ever more."""

    def __init__(self, now_ns: int, lost: int) -> None:
        super().__init__(f"{lost} queries wait beyond their time at {now_ns} ns")
        self.now_ns = now_ns
        self.lost = lost


class Watched:
    """A policy, and an eye on who waits for it. It decides as the policy does until it raises `LostRun`.

    Of those who wait, all are late but the ones that have been due for less than the bound: that is certain, whatever the
    policy does, and takes no assumption about how fast it might be. A host that stood still is not the policy's fault: time
    counts from the first decision at which a query was due, and the backlog has to be no smaller a whole bound later.
    """

    def __init__(self, policy: Policy, arrivals_ns: Sequence[int], bound_ns: int, forgiven: int) -> None:
        """`arrivals_ns` rise; `forgiven` is how many queries may be late before the run is lost."""
        self._policy = policy
        self._arrivals_ns = arrivals_ns
        self._bound_ns = bound_ns
        self._forgiven = forgiven
        self._instants_ns: list[int] = []  # decisions at which queries became due,
        self._due: list[int] = []  # and how many were due by then
        self._suspected: tuple[int, int] | None = None  # since when the run is lost, and how many waited then

    @property
    def digest(self) -> str:
        return self._policy.digest

    def plan(self, view: View) -> Iterable[Operation]:
        self._look(view.now_ns, view.waiting.count)
        return self._policy.plan(view)

    def _look(self, now_ns: int, waiting: int) -> None:
        before = self._due[-1] if self._due else 0
        due = bisect_right(self._arrivals_ns, now_ns, before)
        if due > before:
            self._instants_ns.append(now_ns)
            self._due.append(due)
        if waiting <= self._forgiven:
            self._suspected = None
            return
        seen = bisect_left(self._instants_ns, now_ns - self._bound_ns)
        lost = waiting - (due - (self._due[seen - 1] if seen else 0))
        if lost <= self._forgiven:
            self._suspected = None
        elif self._suspected is None:
            self._suspected = now_ns, waiting
        elif now_ns - self._suspected[0] >= self._bound_ns:
            if waiting >= self._suspected[1]:
                raise LostRun(now_ns, lost)
            self._suspected = now_ns, waiting
