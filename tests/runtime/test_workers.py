"""Worker threads: as many as jobs at once, and no more."""

from __future__ import annotations

import threading
from functools import partial

from dvabatch.runtime.workers import Workers

WAIT_S = 30


def meet(barrier: threading.Barrier) -> None:
    barrier.wait(WAIT_S)


def test_jobs_handed_in_together_run_together() -> None:
    workers, together = Workers("test"), threading.Barrier(5)
    for _ in range(4):
        workers.submit(partial(meet, together))
    meet(together)  # broken if one of the four did not run beside the others
    workers.close()


def test_close_waits_for_every_job_that_was_handed_in() -> None:
    workers = Workers("test")
    done: list[int] = []
    for number in range(50):
        workers.submit(partial(done.append, number))
    workers.close()
    assert sorted(done) == list(range(50))


def test_a_thread_that_has_nothing_to_do_takes_the_next_job() -> None:
    workers = Workers("test")
    names: list[str] = []
    before = threading.active_count()
    for _ in range(20):
        done = threading.Event()

        def job(done: threading.Event = done) -> None:
            names.append(threading.current_thread().name)
            done.set()

        workers.submit(job)
        assert done.wait(WAIT_S)
        while not workers._spare:  # it says so a moment after its job
            done.wait(0)
    assert set(names) == {"test-0"}
    assert threading.active_count() == before + 1
    workers.close()
    assert threading.active_count() == before


def test_what_hangs_is_left_behind() -> None:
    workers, forever = Workers("test"), threading.Barrier(2)
    workers.submit(partial(meet, forever))
    assert not workers.close(timeout_s=0.01)
    meet(forever)


def test_a_thread_that_is_abandoned_keeps_nobody_waiting_and_ends_when_it_comes_back() -> None:
    workers, forever = Workers("abandoned"), threading.Barrier(2)
    found: list[threading.Thread] = []
    known = threading.Event()

    def hang() -> None:
        found.append(threading.current_thread())
        known.set()
        meet(forever)

    workers.submit(hang)
    assert known.wait(WAIT_S)
    workers.abandon(found[0])
    done = threading.Event()
    workers.submit(done.set)  # on another thread
    assert done.wait(WAIT_S)
    assert not workers.close(timeout_s=WAIT_S)  # returns at once, and says that one is left
    meet(forever)
    found[0].join(WAIT_S)
    assert not found[0].is_alive()
