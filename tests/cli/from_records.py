"""What a report says of queries and time, from points/KEY.queries.jsonl alone: by definitions written down anew, exactly."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tests.reporting.again import mean_interval

Record = Mapping[str, Any]
# The smallest samples whose order statistics bound the quantile with 95 %: from docs/guide.md, and 6 and 36 by the same rule.
NEEDED = {"p50": 6, "p90": 36, "p95": 72, "p99": 368, "p99.9": 3688}
NS_PER_MS, NS_PER_S = 10**6, 10**9


def of_records(records: Sequence[Record], slo_ms: float, bound: int | None) -> dict[str, Any]:
    """`bound`: how many queries could be under way at once, if that was bounded."""
    assert [record["id"] for record in records] == list(range(len(records)))
    ends = Counter(record["status"] for record in records)
    done = [record for record in records if record["status"] == "completed"]
    admitted = [record for record in records if record["admitted_ns"] >= 0]
    response = [record["done_ns"] - record["arrival_ns"] for record in done]
    counts = {"offered": len(records), "admitted": len(admitted)}
    counts |= {how: ends.pop(how, 0) for how in ("completed", "rejected", "failed", "cancelled")}
    assert not ends
    first_ns, last_ns = min(record["arrival_ns"] for record in records), max(record["done_ns"] for record in done)
    span_s = Fraction(last_ns - first_ns, NS_PER_S)
    in_time = sum(each <= slo_ms * NS_PER_MS for each in response)
    ordered = sorted(response)
    return {
        "load": schedule_facts(records),
        "counts": counts,
        "response_ms": spread(response),
        "service_ms": spread([record["done_ns"] - record["admitted_ns"] for record in done]),
        "lateness_ms": spread([record["admitted_ns"] - record["arrival_ns"] for record in admitted]),
        "response_cdf_ms": [Fraction(nearest_rank(ordered, Fraction(step, 100)), NS_PER_MS) for step in range(101)],
        "request_throughput_rps": len(done) / span_s,
        "goodput_rps": in_time / span_s,
        "slo_attainment": Fraction(in_time, len(records)),
        **({} if bound is None else {"held_back": held_back(records)}),
    }


def schedule_facts(records: Sequence[Record]) -> dict[str, Any]:
    """The schedule that was met: its digest is over the arrivals and lengths, little-endian."""
    lengths = [record["length"] for record in records if "length" in record]
    arrivals = [record["arrival_ns"] for record in records]
    digest = hashlib.sha256(f"{len(records)} {bool(lengths)}\n".encode())
    digest.update(struct.pack(f"<{len(arrivals)}q", *arrivals))
    digest.update(struct.pack(f"<{len(lengths)}i", *lengths))
    return {"schedule_sha256": digest.hexdigest(), "duration_s": Fraction(arrivals[-1], NS_PER_S)}


def held_back(records: Sequence[Record]) -> dict[str, Any]:
    late = [record["admitted_ns"] - record["arrival_ns"] for record in records if record["held"]]
    return {"queries": len(late), "mean_ms": Fraction(sum(late), len(late) * NS_PER_MS) if late else None}


def nearest_rank(ordered: Sequence[int], share: Fraction) -> int:
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def spread(values: Sequence[int]) -> dict[str, Any]:
    """Of values in nanoseconds, in the order of their arrival."""
    shares = {name: Fraction(name.removeprefix("p")) / 100 for name in NEEDED}
    interval, ordered = mean_interval(values), sorted(values)
    return {
        "mean": Fraction(sum(ordered), len(ordered) * NS_PER_MS),
        "mean_ci95": None if interval is None else [Fraction(bound) / NS_PER_MS for bound in interval],
        "max": Fraction(ordered[-1], NS_PER_MS),
        **{
            name: Fraction(nearest_rank(ordered, share), NS_PER_MS) if len(ordered) >= NEEDED[name] else None
            for name, share in shares.items()
        },
    }
