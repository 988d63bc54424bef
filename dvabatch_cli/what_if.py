"""What would have become of a query without each operation that it took part in, simulated."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from dvabatch.batching.history import Kind
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.without import Without
from dvabatch.reporting.account import Account
from dvabatch.reporting.explained import role_of
from dvabatch.runtime.counterfactual import Arrivals, simulate
from dvabatch_cli.recording import Recording

_MOST: Final = 16


def without_operations(
    recording: Recording, account: Account, arrivals: Arrivals, say: Callable[[str], None]
) -> dict[str, Any]:
    """The run simulated as it is (`simulated`), and once more without each of the query's operations (`without`).

    A row of `without` says kind, which of its kind (`nth`, from 1), when and as what, the query's new response and the run's
    new mean. `left_out` counts operations beyond the first sixteen, `not_simulated` says why nothing could be.
    """
    met: dict[Kind, int] = {}
    parts = []
    for part in account.operations:
        kind = part.done.kind
        if kind != "new":  # without it the query would never enter
            met[kind] = met.get(kind, 0) + 1
            parts.append((part, met[kind]))
    unfit = arrivals.unfit()
    if not parts or unfit is not None:
        return {"simulated": None, "without": [], "left_out": len(parts), "not_simulated": unfit}

    def once(policy: Policy) -> dict[str, Any]:
        bound = recording.run["load"].get("max_concurrency")
        run = simulate(recording.limits, recording.profile, policy, arrivals.queries, account.query_id, bound)
        return {"response_ns": run.response_ns, "mean_ns": run.mean_ns, "run_operations": run.operations}

    policy = recording.contender.policy
    chosen = parts[:_MOST]
    began_s = time.monotonic()
    base = once(policy)
    took_s = time.monotonic() - began_s
    say(f"simulating the run without each of {len(chosen)} operations, about {took_s * len(chosen):.0f} s")
    rows = [
        {
            "kind": part.done.kind,
            "nth": nth,
            "at_ns": part.now_ns - account.arrival_ns,
            "as": role_of(account, part),
            **once(Without(policy, part.done.kind, account.query_id, nth)),
        }
        for part, nth in chosen
    ]
    return {"simulated": base, "without": rows, "left_out": len(parts) - len(chosen), "not_simulated": None}
