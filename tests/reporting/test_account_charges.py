"""Explain charges a launch with what the simulator charged it with, where one thread does the host's part of all of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, LoadDva, Normal, OperatorDva
from dvabatch.batching.profile import Profile
from dvabatch.reporting.account import Accounts
from dvabatch.runtime.device_model import HOST, Phases
from dvabatch.runtime.faults import Failing, Faults
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder, retrace

QUERIES = 120
POLICIES: dict[str, Callable[[], Policy]] = {
    "NORMAL": lambda: Normal(FillOrWait(4, 100_000, 4)),
    "OPERATOR_DVA": lambda: OperatorDva(FillOrWait(5, 0, 6), Favoring((5, 2, 8))),
    "LOAD_DVA": lambda: LoadDva(CatchingUp(8, 8, 2, None)),
    "HYBRID_DVA": lambda: HybridDva(CatchingUp(8, 8, 2, None), Favoring((4, 2, 6))),
    "AUTO": lambda: Auto((Setting(1000.0, FillOrWait(8, 0, 2), in_room=False, catching_up=True),)),
}


class Charge(NamedTuple):
    """What keeps the thread for a launch, copies included, and when it is through with it; at what instant that was said."""

    now_ns: int
    host_ns: int
    through_ns: int


def a_profile(rng: np.random.Generator) -> Profile:
    share = float(rng.choice([1.0, 0.3, 0.1]))
    curves: list[dict[str, float]] = [{"1": 0.2, "8": 0.5}, {"1": 0.3, "8": 1.8}, {"1": 0.2, "8": 0.5}]
    table: dict[str, Any] = {"stages": [{"latency_ms": curve, "share": {"1": share}} for curve in curves]}
    choices = {
        "launch_us": [5, 50, 200], "boundary_us": [5, 30], "wake_us": [7, 40], "transfer_us_per_row": [0, 1, 20],
        "copy_us_per_row": [0, 2],
    }  # fmt: skip
    table |= {cost: int(rng.choice(each)) for cost, each in choices.items()}
    if rng.random() < 0.6:
        table |= {f"{kind}_busy_us": table[f"{kind}_us"] // 2 for kind in ("launch", "boundary")}
        table["launch_busy_us_per_row"] = 3
    return Profile.from_table({**table, "one_host": True})


@pytest.mark.parametrize("trouble", ["none", "failing stages", "launches given up"])
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", range(4))
def test_accounts_charge_what_the_simulator_charged(
    seed: int, name: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng([seed, len(name)])
    profile = a_profile(rng)
    limits = Limits(3, 8, buffer_sets=6, executors_per_stage=int(rng.integers(1, 4)))
    mean_ns = 250_000 / float(rng.choice([0.1, 0.3, 0.6, 0.9]))
    arrivals_ns = np.cumsum(rng.exponential(mean_ns, QUERIES) * (rng.random(QUERIES) < 0.9)).astype(np.int64).tolist()
    machine, sink = Machine(limits, profile, POLICIES[name]()), io.StringIO()
    driver = SimulatedDriver(
        machine,
        Recorder(machine, sink),
        faults=Faults([Failing(1, rate=0.05)], seed) if trouble == "failing stages" else None,
        timeout_ns={"failing stages": 20_000_000, "launches given up": 2_500_000}.get(trouble),
    )
    charged: dict[int, Charge] = {}
    start = driver._device.start

    def starting(launch_id: int, phases: Phases, now_ns: int) -> None:
        start(launch_id, phases, now_ns)
        assert phases[0][1] == HOST
        charged[launch_id] = Charge(now_ns, phases[0][0], driver._device.host_free_ns)

    monkeypatch.setattr(driver._device, "start", starting)
    journal = driver.run(arrivals_ns)

    accounts = Accounts(profile, range(QUERIES), lambda query_id: journal.done_ns[query_id])
    told: dict[int, Charge] = {}
    begin = accounts._begin

    def beginning(launch: Any, host_ns: int, now_ns: int, *others: int) -> None:
        copying_ns = accounts._copying_ns.get(launch.place.buffer_set, 0)
        begin(launch, host_ns, now_ns, *others)
        told[launch.id] = Charge(now_ns, host_ns + copying_ns, accounts._host_free_ns)

    monkeypatch.setattr(accounts, "_begin", beginning)
    for step in retrace(sink.getvalue().splitlines(keepends=True), History(limits, profile, POLICIES[name]())):
        accounts.follow(step)
    assert told == charged
    assert len(told) > QUERIES / 8
