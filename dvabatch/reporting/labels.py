"""What policies, loads and points are called: in tables, legends and file names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .canonical import compact

# Short forms of the options by which policies of one name usually differ.
_SHORT: Final[Mapping[str, str]] = {
    "max_batch_size": "batch",
    "max_queue_delay_microseconds": "delay_us",
    "max_queue_delay_of_whole": "delay_of_whole",
    "max_allow_merge_stage": "merge_stage",
    "max_allow_merge_batchsize": "merge_batch",
    "max_allow_merge_microseconds": "merge_us",
    "max_allow_merge_of_whole": "merge_of_whole",
}
# What a run adds to its load after the fact, or what only tells its repetitions apart.
_OF_ONE_SEED: Final = frozenset({"seed", "schedule_sha256", "duration_s"})


def policy_labels(policies: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """`policy_id` -> label: the name (or the scheduler type), and where that is shared, the options that differ."""
    by_name: dict[str, dict[str, Mapping[str, Any]]] = {}
    for policy in policies:
        by_name.setdefault(_name(policy), {})[policy_id(policy)] = policy
    labels = {}
    for name, same in by_name.items():
        keys = sorted({key for policy in same.values() for key in policy})
        apart = [key for key in keys if len({compact(policy.get(key)) for policy in same.values()}) > 1]
        for identity, policy in same.items():
            options = [f"{_SHORT.get(key, key)}={_plain(policy[key])}" for key in apart if policy.get(key) is not None]
            labels[identity] = " ".join([name, *options])
    return labels


def policy_id(policy: Mapping[str, Any]) -> str:
    """The canonical text of a policy's resolved options: equal for equal policies, whatever the order of the keys."""
    return compact(policy)


def load_id(load: Mapping[str, Any]) -> str:
    """The canonical text of a load without what differs from seed to seed: equal for the runs of one point."""
    return compact({key: value for key, value in load.items() if key not in _OF_ONE_SEED})


def load_label(load: Mapping[str, Any]) -> str:
    """The load for people: "50 %" of the capacity, or "120 rps"."""
    if load.get("utilization") is not None:
        return f"{100 * float(load['utilization']):.4g} %"
    return f"{float(load['request_rate_rps']):.4g} rps"


def point_key(policy: Mapping[str, Any], load: Mapping[str, Any], role: str = "policy") -> str:
    """A file name for one point of a sweep, known before it is measured, so that a resumed sweep can look for it.

    It depends on the policy's options, the role and the load with its seed and schedule, and not on the model or
    the engine: points of different ones belong in different folders.
    """
    known = {key: value for key, value in load.items() if key != "duration_s"}
    digest = hashlib.sha256(compact({"policy": policy, "load": known, "role": role}).encode()).hexdigest()
    rate = load_label(load).replace(" %", "pct").replace(" ", "")
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{_name(policy)}-{rate}-s{load.get('seed')}").strip(".-")
    return f"{readable[:80]}-{digest[:12]}"


def _name(policy: Mapping[str, Any]) -> str:
    return str(policy.get("name") or policy["scheduler_type"])


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else compact(value).strip('"')
