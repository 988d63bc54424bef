"""A policy with one kind of operation taken away from one query: what would have become of it without?"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeAlias, cast

from dvabatch.batching.history import Kind
from dvabatch.batching.machine import Policy
from dvabatch.batching.operations import Advance, Hold, Merge, Operation, Split, Stretch
from dvabatch.batching.view import View

Refused: TypeAlias = Stretch | Merge | Hold | Split


class Without:
    """Decides as the policy within, but for operations of one kind on the batches of one query, from their nth on.

    What is refused, and what happens instead:
    * *stretch* of its batch, or by which it would enter: that batch takes no company any more, as if there were no room
      behind it; the policy is asked again.
    * *hold* of its batch, or for it: the batch in front goes on at once, one stage, and without its tail.
    * *merge* with its batch: the head goes on at once, one stage, and its tail follows on its own.
    * *split* of its batch: it goes on whole, one stage.

    Behind that stage the policy decides again as ever. All else is its own: other queries may fare otherwise, too.
    """

    def __init__(self, policy: Policy, kind: Kind, query_id: int, first: int = 1) -> None:
        """`first`: the query's operations of this kind before this one (from 1) stay as they are."""
        if kind == "new":
            raise ValueError("without a new batch no query enters; wanted stretch, merge, split or hold")
        self._policy = policy
        self._kind = kind
        self._query_id = query_id
        self._first = first
        self._met = 0
        self._closed: set[int] = set()

    @property
    def digest(self) -> str:
        return f"{self._policy.digest} without {self._kind} {self._first} of query {self._query_id}"

    def plan(self, view: View) -> Iterator[Operation]:
        guarded = cast(View, _Closed(view, self._closed))
        while (refused := (yield from self._until_refused(guarded))) is not None:
            if type(refused) is Stretch:
                self._closed.add(refused.head)
            else:
                batch_id = _head(refused)
                yield Advance(batch_id, view.batch_by_id[batch_id].stage)

    def _until_refused(self, view: View) -> Generator[Operation, None, Refused | None]:
        """The policy's answers up to the first that is refused, which is returned; None where it comes to its end."""
        for operation in self._policy.plan(view):
            if not self._concerns(view, operation):
                yield operation
                continue
            assert isinstance(operation, (Stretch, Merge, Hold, Split))
            self._met += 1
            if self._met < self._first:
                yield operation
            elif type(operation) is Stretch:
                return None if operation.head in self._closed else operation  # else it would be asked without end
            elif view.idle[view.batch_by_id[_head(operation)].stage]:
                return operation
            else:  # nothing can go on from there now: it stands as it is, and is asked about again later
                self._met -= 1
        return None

    def _concerns(self, view: View, operation: Operation) -> bool:
        batches: tuple[int, ...]
        if type(operation) is Stretch and self._kind == "stretch":
            if self._query_id in operation.query_ids:
                return True
            tail = view.batch_by_id[operation.head].tail  # which the newcomers join, where there is one
            batches = (operation.head,) if tail is None else (operation.head, tail)
        elif type(operation) is Merge and self._kind == "merge":
            batches = operation.head, operation.tail
        elif type(operation) is Hold and self._kind == "hold":
            batches = operation.batch, operation.tail
        elif type(operation) is Split and self._kind == "split":
            batches = (operation.batch,)
        else:
            return False
        found = [view.batch_by_id[batch_id].queries for batch_id in batches]
        return any(query.id == self._query_id for queries in found for query in queries)


class _Closed:
    """A view in which some batches have no room behind them."""

    __slots__ = ("_closed", "_view")

    def __init__(self, view: View, closed: set[int]) -> None:
        self._view = view
        self._closed = closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def room(self, batch_id: int) -> int:
        return 0 if batch_id in self._closed else self._view.room(batch_id)


def _head(operation: Refused) -> int:
    """The batch that goes on instead."""
    return operation.head if isinstance(operation, (Merge, Stretch)) else operation.batch
