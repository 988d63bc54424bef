"""Which runs of two reports are held against each other: the same policy on the very same schedule.

Policies are the same if all their options are; what is then left goes by name, so that an old and a new form of one policy
meet, and a note says which options differ. Schedules are the same if their hash is, and the bound on concurrency too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ReportError
from .labels import load_id, policy_id, policy_labels
from .series import Run


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs of one schedule."""

    new: Run
    old: Run


@dataclass(frozen=True, slots=True)
class Match:
    """A policy against a policy at one load: a pair for each seed, in the order of the new side."""

    policy: str
    against: str
    load: Mapping[str, Any]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pairing:
    """All matches, and what is said of runs that met nobody."""

    matches: tuple[Match, ...]
    left_out: tuple[str, ...]


def paired(old: Sequence[Run], new: Sequence[Run], against: str | None = None, policy: str | None = None) -> Pairing:
    """The runs of `new` beside those of `old`; with names, only those of `policy` in `new` and of `against` in `old`.

    `against` alone holds every policy of the new side against that one. A name is a label as the tables show it, a policy's
    name, or a scheduler type that only one policy has.

    Raises:
        ReportError: there is no such policy, or more than one; or nothing meets anything.
    """
    labels = policy_labels([run["policy"] for run in (*old, *new)])
    theirs, mine = _chosen(old, against, labels), _chosen(new, policy, labels)
    if against is None:
        partner = _partners(theirs, mine)
    else:
        (other,) = theirs
        partner = dict.fromkeys(mine, other)
        if old is new and policy is None:
            del partner[other], mine[other]  # not against itself
    matches: list[Match] = []
    left_out: list[str] = []
    for identity, runs in mine.items():
        found = partner.get(identity)
        if found is None:
            left_out.append(f"{labels[policy_id(runs[0]['policy'])]}: the other side has no such policy")
            continue
        by_schedule = {_schedule(run): run for run in theirs[found]}
        met = [Pair(run, by_schedule[_schedule(run)]) for run in runs if _schedule(run) in by_schedule]
        names = labels[policy_id(runs[0]["policy"])], labels[policy_id(theirs[found][0]["policy"])]
        if len(met) < len(runs):
            left_out.append(
                f"{names[0]}: {len(runs) - len(met)} of {len(runs)} runs, whose schedule {names[1]} did not meet"
            )
        by_load: dict[str, list[Pair]] = {}
        for pair in met:
            by_load.setdefault(load_id(pair.new["load"]), []).append(pair)
        notes = _options_apart(theirs[found][0]["policy"], runs[0]["policy"]) if against is None else ()
        matches += [Match(*names, pairs[0].new["load"], tuple(pairs), notes) for pairs in by_load.values()]
    if not matches:
        raise ReportError(_nothing(old, new, left_out))
    return Pairing(tuple(matches), tuple(left_out))


Identity = tuple[str, str]  # role, and the options as text


def _chosen(runs: Sequence[Run], name: str | None, labels: Mapping[str, str]) -> dict[Identity, list[Run]]:
    """The runs of each policy, or of the one that is called `name`."""
    groups: dict[Identity, list[Run]] = {}
    for run in runs:
        groups.setdefault((str(run["role"]), policy_id(run["policy"])), []).append(run)
    if name is None:
        return groups
    for called in (
        lambda identity: labels[identity[1]],
        lambda identity: groups[identity][0]["policy"].get("name"),
        lambda identity: groups[identity][0]["policy"]["scheduler_type"],
    ):
        found = [identity for identity in groups if called(identity) == name]
        if len(found) == 1:
            return {found[0]: groups[found[0]]}
    known = ", ".join(dict.fromkeys(labels[identity[1]] for identity in groups)) or "no policy at all"
    raise ReportError(f"got the policy {name!r}, wanted one of {known}: take a name that only one of them has")


def _partners(old: Mapping[Identity, list[Run]], new: Mapping[Identity, list[Run]]) -> dict[Identity, Identity | None]:
    """For each policy of the new side the one it is held against: equal options, else a name that nobody shares."""
    partner: dict[Identity, Identity | None] = {identity: identity for identity in new if identity in old}
    free_old, free_new = ([identity for identity in side if identity not in partner] for side in (old, new))
    for identity in free_new:
        called = _called(new[identity])
        alike = [other for other in free_old if _called(old[other]) == called]
        alone = sum(_called(new[other]) == called for other in free_new) == 1
        partner[identity] = alike[0] if len(alike) == 1 and alone else None
    return partner


def _called(runs: Sequence[Run]) -> tuple[str, str]:
    policy = runs[0]["policy"]
    return str(runs[0]["role"]), str(policy.get("name") or policy["scheduler_type"])


def _schedule(run: Run) -> tuple[str, str]:
    return run["load"]["schedule_sha256"], str(run["load"].get("max_concurrency"))


def _options_apart(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    keys = sorted({*old, *new})
    return tuple(f"{key}: {old.get(key)} before, {new.get(key)} now" for key in keys if old.get(key) != new.get(key))


def _nothing(old: Sequence[Run], new: Sequence[Run], left_out: Sequence[str]) -> str:
    if not old or not new:
        return "a side has no runs: bench it first"

    def rates(runs: Sequence[Run]) -> str:
        return ", ".join(dict.fromkeys(f"{run['load']['request_rate_rps']:.6g}" for run in runs))

    def seeds(runs: Sequence[Run]) -> str:
        return ", ".join(dict.fromkeys(str(run["load"].get("seed")) for run in runs))

    return (
        f"no two runs met the same schedule ({'; '.join(left_out)}). The old side ran at {rates(old)} queries/s with seeds"
        f" {seeds(old)}, the new one at {rates(new)} with seeds {seeds(new)}: bench both with the same load.request_rate"
        " (a utilization is relative to what each machine can do), length and seeds"
    )
