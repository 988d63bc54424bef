"""The golden run: HYBRID_DVA on a small table, simulated. `python -m tests.golden.recording` writes its trace anew.

Renew it only when a change of decisions, of the trace's form or of the digests is meant, and say why in the commit.
"""

from __future__ import annotations

import io
import random
from pathlib import Path

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva
from dvabatch.batching.profile import Profile
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder

GOLDEN = Path(__file__).with_name("hybrid_dva.jsonl")
LENGTHS = (32, 64)


def machine() -> Machine:
    """A fresh one: three stages in two lanes, tight enough that batches wait for executors, sets and each other."""
    small, large = {"1": 0.2, "4": 0.3, "8": 0.5}, {"1": 0.3, "4": 0.9, "8": 1.8}
    lanes = {
        str(length): {
            "stages": [{"latency_ms": {b: ms * factor for b, ms in curve.items()}} for curve in (small, large, small)]
        }
        for length, factor in zip(LENGTHS, (1, 2), strict=True)
    }
    profile = Profile.from_table(
        {"name": "golden", "lanes": lanes, "launch_us": 5, "boundary_us": 10, "copy_us_per_row": 2}
    )
    limits = Limits(stages=3, max_batch=8, buffer_sets=4, executors_per_stage=2, lanes=LENGTHS, max_queue=12)
    return Machine(limits, profile, HybridDva(CatchingUp(8, 8, 2, 3_000_000), Favoring((4, 2, 6))), debug=True)


def record() -> str:
    """The trace of the run: 170 queries, in bursts, some too long and some with a deadline that passes."""
    draw = random.Random(20241)
    arrivals_ns, lengths, now_ns = [], [], 0
    for _ in range(170):
        now_ns += draw.choice((0, 0, 50_000, 200_000, 900_000))
        arrivals_ns.append(now_ns)
        lengths.append(draw.choice((7, 30, 32, 33, 64, 64, 70)))
    sink, fresh = io.StringIO(), machine()
    SimulatedDriver(fresh, Recorder(fresh, sink)).run(arrivals_ns, lengths, deadline_ns=2_500_000)
    return sink.getvalue()


if __name__ == "__main__":
    GOLDEN.write_text(record(), encoding="utf-8")
    print(f"wrote {GOLDEN}")
