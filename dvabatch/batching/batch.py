"""A batch: queries that go through stages together, and its place among the others."""

from __future__ import annotations

from dvabatch.batching.place import Place
from dvabatch.batching.query import Query
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import BatchView


class Batch(BatchView):
    """Mutable inside the ledger; policies see it through the read-only `BatchView`.

    `queries[i]` lies in row `place.first_row + i`. A cancelled query keeps its row until the batch ends: rows never move
    because of it. `head` and `tail` tie a batch to the one it catches up with, or waits for; at most one each.
    """

    __slots__ = (
        "_ids", "boundary", "cancelled", "first_launch_ns", "head", "id", "lane", "launch_id",
        "place", "queries", "stage", "state", "tail",
    )  # fmt: skip

    # What the view has as properties.
    id: int
    lane: int
    queries: tuple[Query, ...]
    stage: int
    boundary: int
    state: BatchState
    place: Place
    head: int | None
    tail: int | None
    launch_id: int | None
    first_launch_ns: int | None

    def __init__(
        self,
        batch_id: int,
        lane: int,
        queries: tuple[Query, ...],
        place: Place,
        stage: int = 0,
        ids: tuple[int, ...] = (),
    ) -> None:
        """`ids`: those of the queries, where the caller has them already."""
        self.id = batch_id
        self.lane = lane
        self.queries = queries
        self._ids = ids
        self.place = place
        self.stage = stage  # the next one to run
        self.boundary = stage  # where it stands, or will stand when its launch in flight ends
        self.state = BatchState.READY
        self.head = None
        self.tail = None
        self.launch_id = None
        self.first_launch_ns = None
        self.cancelled: set[int] = set()

    @property
    def size(self) -> int:
        """Rows, cancelled ones included: what a launch costs."""
        return len(self.queries)

    @property
    def ids(self) -> tuple[int, ...]:
        """The queries' ids in row order. Every launch carries them, so they are kept: queries are only ever added."""
        if len(self._ids) != len(self.queries):
            self._ids = tuple([query.id for query in self.queries])
        return self._ids

    @property
    def live_ids(self) -> tuple[int, ...]:
        if not self.cancelled:
            return self.ids
        return tuple([query.id for query in self.queries if query.id not in self.cancelled])

    @property
    def is_empty(self) -> bool:
        return len(self.cancelled) == len(self.queries)
