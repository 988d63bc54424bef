"""Worker threads: as many as jobs at once, and no more."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from dvabatch.runtime.workers import Workers
from engines.cores import own_cores

WAIT_S = 30
NEEDS_CORES = pytest.mark.skipif(not own_cores(), reason="threads cannot choose their core on this system")


def _wait(gate: threading.Event) -> None:
    gate.wait(WAIT_S)


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


@NEEDS_CORES
def test_with_cores_as_many_jobs_run_at_a_time_and_each_keeps_one() -> None:
    cores = own_cores()
    workers, together = Workers("test", cores), threading.Barrier(len(cores) + 1)
    met: list[set[int]] = []
    waited = threading.Event()

    def job() -> None:
        met.append(os.sched_getaffinity(0))
        together.wait(WAIT_S)

    for _ in cores:
        workers.submit(job)
    workers.submit(waited.set)  # one more than there are cores
    assert not waited.wait(0.05)
    together.wait(WAIT_S)
    assert waited.wait(WAIT_S)
    assert sorted(next(iter(each)) for each in met) == list(cores)
    assert all(len(each) == 1 for each in met)
    assert workers.close()
    assert os.sched_getaffinity(0) == set(cores)  # nobody else is kept anywhere


@NEEDS_CORES
def test_those_who_wait_for_a_core_are_served_in_the_order_in_which_they_came() -> None:
    workers, gate = Workers("test", own_cores()[:1]), threading.Event()
    done: list[int] = []
    workers.submit(partial(_wait, gate))
    for number in range(20):
        workers.submit(partial(done.append, number))
    gate.set()
    assert workers.close()
    assert done == list(range(20))


@NEEDS_CORES
def test_a_core_whose_thread_hangs_gets_a_fresh_one_and_those_who_wait_go_on() -> None:
    workers, forever, done = Workers("test", own_cores()[:1]), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def hang() -> None:
        threads.append(threading.current_thread())
        done.set()
        forever.wait(WAIT_S)

    workers.submit(hang)
    assert done.wait(WAIT_S)
    done.clear()
    workers.submit(done.set)
    assert not done.wait(0.05)
    workers.abandon(threads[0])
    assert done.wait(WAIT_S)
    forever.set()
    assert workers.close()
