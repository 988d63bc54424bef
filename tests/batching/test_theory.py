"""The simulator against queueing theory, where theory has a closed form, and against exact recursions elsewhere.

Means of long runs are compared with a tolerance from the run itself: four standard errors of the mean, by the method of batch
means (20 blocks), from fixed seeds.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import Normal
from dvabatch.batching.profile import Profile
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.simulated import SimulatedDriver
from tests.batching.timeline import flat

S_NS = 1_000_000  # one service
BLOCKS = 20


def simulate(
    arrivals_ns: NDArray[np.int64],
    *,
    max_batch: int = 1,
    instances: int = 1,
    share: float = 1.0,
    stages: int = 1,
    **costs: Any,
) -> Journal:
    stage = {"latency_ms": {"1": 1 / stages, "64": 1 / stages}, "share": {"1": share}}
    profile = Profile.from_table({"name": "deterministic", "stages": [stage] * stages, **costs})
    limits = Limits(stages, max_batch, instances, instances)
    machine = Machine(limits, profile, Normal(FillOrWait(max_batch, 0, instances)))
    return SimulatedDriver(machine).run(arrivals_ns)


def poisson(rho: float, count: int, seed: int) -> NDArray[np.int64]:
    gaps = np.random.default_rng(seed).exponential(S_NS / rho, count)
    return np.cumsum(gaps).astype(np.int64)


def responses(journal: Journal) -> NDArray[np.float64]:
    done, arrived = np.asarray(journal.done_ns), np.asarray(journal.arrival_ns)
    return np.asarray((done - arrived) / S_NS, np.float64)


def assert_mean(values: NDArray[np.float64], theory: float) -> None:
    """Within four standard errors, which have to be small themselves for this to say something."""
    warm = values[len(values) // BLOCKS :]
    blocks = warm[: len(warm) // BLOCKS * BLOCKS].reshape(BLOCKS, -1).mean(axis=1)
    error = float(blocks.std(ddof=1)) / math.sqrt(BLOCKS)
    assert error < 0.1 * theory
    assert abs(float(blocks.mean()) - theory) <= 4 * error


@pytest.mark.parametrize(("rho", "seed"), [(0.3, 1), (0.6, 2), (0.8, 3)])
def test_the_mean_wait_of_m_d_1(rho: float, seed: int) -> None:
    """M/D/1, Pollaczek and Khinchine: E[W] = rho S / (2 (1 - rho)). NORMAL, batch 1, no delay, one instance."""
    waits = responses(simulate(poisson(rho, 12_000, seed))) - 1
    assert waits.min() >= 0
    assert_mean(waits, rho / (2 * (1 - rho)))


def test_what_the_host_adds_is_service_too() -> None:
    """M/D/1 again with S' = S + launch_us, since one instance waits for its host: E[W] = rho' S' / (2 (1 - rho'))."""
    longer, rho = 1.25, 0.5
    waits = responses(simulate(poisson(rho, 12_000, 4), launch_us=250.0)) - longer
    assert_mean(waits, rho * longer * longer / (2 * (1 - rho * longer)))


@pytest.mark.parametrize("period_ns", [S_NS, S_NS + 1, 3 * S_NS])
def test_d_d_1_below_saturation_nobody_waits(period_ns: int) -> None:
    """D/D/1 with rho <= 1: E[W] = 0, exactly."""
    journal = simulate(np.arange(200, dtype=np.int64) * period_ns)
    assert set(responses(journal)) == {1.0}


def test_d_d_1_above_saturation_the_backlog_grows_by_the_difference() -> None:
    """D/D/1 with rho > 1: query k waits k (S - T), exactly."""
    period_ns = 800_000
    journal = simulate(np.arange(300, dtype=np.int64) * period_ns)
    waits = [done - arrived - S_NS for done, arrived in zip(journal.done_ns, journal.arrival_ns, strict=True)]
    assert waits == [k * (S_NS - period_ns) for k in range(300)]


@pytest.mark.parametrize("servers", [1, 2, 3, 5])
def test_m_d_c_query_by_query(servers: int) -> None:
    """M/D/c, first come first served, by the recursion of Kiefer and Wolfowitz: a query starts when it has come and the first
    server is free. Exact for every query: instances that share the device without crowding it are servers."""
    arrivals_ns = poisson(0.85 * servers, 2_000, 10 + servers)
    free = [0] * servers
    done = []
    for arrival_ns in arrivals_ns.tolist():
        start_ns = max(arrival_ns, heapq.heappop(free))
        heapq.heappush(free, start_ns + S_NS)
        done.append(start_ns + S_NS)
    assert list(simulate(arrivals_ns, instances=servers, share=1 / servers).done_ns) == done


@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_a_bulk_queue_that_takes_all_who_wait(rho: float) -> None:
    """M/D/1 with bulk service of any size (Bailey's queue without a bound; here 64, never reached), a = lambda S:
    a service is followed by one of max(1, N) queries, N Poisson(a), so E[batch] = a + e^-a, and of those in it a came during
    the service before, uniformly: E[W] = (a S / 2) / (a + e^-a)."""
    journal = simulate(poisson(rho, 20_000, 5), max_batch=64)
    sizes = journal.stages(flat(1, most=64))[0].batch_sizes
    batches = np.repeat(list(sizes), list(sizes.values())).astype(np.float64)
    assert max(sizes) < 64
    mean_batch = rho + math.exp(-rho)
    assert_mean(np.random.default_rng(0).permutation(batches), mean_batch)
    assert_mean(responses(journal) - 1, rho / 2 / mean_batch)


@pytest.mark.parametrize(
    ("second_ns", "share", "done_ms"),
    [
        (0, 1.0, [2.0, 2.0]),  # both at half speed
        (500_000, 1.0, [1.5, 2.0]),  # 0.5 alone, 1 together, 0.5 alone
        (0, 0.5, [1.0, 1.0]),  # half a device each: no crowd
        (0, 0.75, [1.5, 1.5]),
        (1_000_000, 1.0, [1.0, 2.0]),  # one after the other
    ],
)
def test_two_equal_jobs_share_the_processor(second_ns: int, share: float, done_ms: list[float]) -> None:
    """Egalitarian processor sharing of two jobs."""
    journal = simulate(np.array([0, second_ns]), instances=2, share=share)
    assert list(journal.done_ns) == pytest.approx([ms * S_NS for ms in done_ms], abs=1)


@pytest.mark.parametrize("stages", [1, 4])
def test_the_mean_response_of_m_d_1_with_processor_sharing(stages: int) -> None:
    """M/G/1-PS, whatever the distribution of work: E[T] = S / (1 - rho)."""
    journal = simulate(poisson(0.5, 10_000, 6), instances=64, stages=stages)
    assert_mean(responses(journal), 1 / (1 - 0.5))


def test_the_device_is_busy_for_as_long_as_work_was_offered() -> None:
    """Work conservation: one server, deterministic service: busy time is the number of queries times S."""
    journal = simulate(poisson(0.7, 3_000, 7))
    assert journal.busy_ns == 3_000 * S_NS
