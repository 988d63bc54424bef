"""When to admit what is scheduled: a sender that pushes, and a cursor for drivers that pull. Both are open-loop."""

from bisect import bisect_right
from collections.abc import Callable

from dvabatch.loadgen.extent import NS_PER_S
from dvabatch.loadgen.schedule import Schedule

# The longest single sleep, so that `stop` is heard in time.
_MAX_SLEEP_NS = 50_000_000


def send(
    schedule: Schedule,
    submit: Callable[[int], None],
    *,
    anchor_ns: int,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    stop: Callable[[], bool],
) -> int:
    """Call `submit(index)` for each request at `anchor_ns` + its arrival, until done or `stop()`; return how many.

    `clock` gives nanoseconds of the clock that `anchor_ns` is on, `sleep` takes seconds and may end early or late. Every
    wait is computed from the anchor, so lateness never adds up: what is overdue goes out at once, and nothing is skipped.
    """
    arrivals = schedule.arrivals_ns.data  # a memoryview: its items are plain integers, and quick
    for index in range(len(arrivals)):
        due_ns = anchor_ns + arrivals[index]
        while not stop():
            wait_ns = due_ns - clock()
            if wait_ns <= 0:
                break
            sleep(min(wait_ns, _MAX_SLEEP_NS) / NS_PER_S)
        else:
            return index
        submit(index)
    return len(arrivals)


class Cursor:
    """A place in a schedule, for drivers that take all that is due at each decision."""

    def __init__(self, schedule: Schedule, *, anchor_ns: int) -> None:
        self._arrivals = schedule.arrivals_ns.data
        self._anchor_ns = anchor_ns
        self._next = 0

    @property
    def next_ns(self) -> int | None:
        """When the first request not yet taken is due, on the anchor's clock; None after the last."""
        if self._next == len(self._arrivals):
            return None
        return self._anchor_ns + int(self._arrivals[self._next])

    def take_due(self, now_ns: int) -> range:
        """The indices of the requests due at `now_ns` (an arrival at exactly that instant is) and not taken before."""
        first = self._next
        self._next = bisect_right(self._arrivals, now_ns - self._anchor_ns, lo=first)
        return range(first, self._next)
