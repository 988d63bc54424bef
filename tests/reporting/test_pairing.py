from __future__ import annotations

from typing import Any

import pytest

from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.pairing import paired


def run(
    kind: str = "NORMAL", seed: int = 1, role: str = "policy", rate: float = 100.0, **policy: Any
) -> dict[str, Any]:
    bound = {"max_concurrency": policy.pop("bound")} if "bound" in policy else {}
    return {
        "policy": {"scheduler_type": kind, **policy},
        "role": role,
        "load": {
            "process": "poisson", "request_rate_rps": rate, "utilization": None, "seed": seed,
            "schedule_sha256": f"{rate}-{seed}", "duration_s": 1.0, **bound,
        },
    }  # fmt: skip


def met(old: list[dict[str, Any]], new: list[dict[str, Any]], **names: str) -> list[tuple[str, str, float, list[int]]]:
    """(policy, against, rate, seeds) of each match."""
    found = paired(old, new, **names).matches
    for match in found:
        assert all(pair.new["load"]["schedule_sha256"] == pair.old["load"]["schedule_sha256"] for pair in match.pairs)
    return [
        (
            match.policy,
            match.against,
            match.load["request_rate_rps"],
            [pair.new["load"]["seed"] for pair in match.pairs],
        )
        for match in found
    ]


def test_equal_policies_meet_by_load_and_schedule() -> None:
    old = [
        run(kind, seed, rate=rate) for rate in (50.0, 100.0) for kind in ("NORMAL", "LOAD_DVA") for seed in (1, 2, 3)
    ]
    new = [
        run(kind, seed, rate=rate) for kind in ("LOAD_DVA", "NORMAL") for rate in (100.0, 50.0) for seed in (3, 2, 9)
    ]
    assert met(old, new) == [
        ("LOAD_DVA", "LOAD_DVA", 100.0, [3, 2]),
        ("LOAD_DVA", "LOAD_DVA", 50.0, [3, 2]),
        ("NORMAL", "NORMAL", 100.0, [3, 2]),
        ("NORMAL", "NORMAL", 50.0, [3, 2]),
    ]
    assert paired(old, new).left_out == (
        "LOAD_DVA: 2 of 6 runs, whose schedule LOAD_DVA did not meet",
        "NORMAL: 2 of 6 runs, whose schedule NORMAL did not meet",
    )


def test_a_policy_whose_options_changed_is_met_by_its_name_and_told() -> None:
    old, new = [run(name="mine", max_batch_size=8)], [run(name="mine", max_batch_size=16)]
    (match,) = paired(old, new).matches
    assert match.notes == ("max_batch_size: 8 before, 16 now",)


def test_a_name_that_two_policies_share_settles_nothing() -> None:
    old = [run(name="mine", max_batch_size=8), run(name="mine", max_batch_size=4)]
    new = [run(name="mine", max_batch_size=16), run(name="mine", max_batch_size=4)]
    found = paired(old, new)
    # Those of equal options are taken out first, so that one is left on each side.
    assert [len(match.pairs) for match in found.matches] == [1, 1]
    assert [bool(match.notes) for match in found.matches] == [True, False]
    old.append(run(name="mine", max_batch_size=2))
    assert len(paired(old, new).matches) == 1
    assert paired(old, new).left_out == ("mine batch=16: the other side has no such policy",)


def test_a_baseline_is_no_policy() -> None:
    with pytest.raises(ReportError, match="the other side has no such policy"):
        paired([run(role="untuned")], [run()])


def test_two_policies_of_one_report() -> None:
    runs = [run(kind, seed) for kind in ("NORMAL", "LOAD_DVA", "AUTO") for seed in (1, 2)]
    assert met(runs, runs, policy="LOAD_DVA", against="NORMAL") == [("LOAD_DVA", "NORMAL", 100.0, [1, 2])]
    assert [names[:2] for names in met(runs, runs, against="NORMAL")] == [("LOAD_DVA", "NORMAL"), ("AUTO", "NORMAL")]
    assert met(runs, list(runs), policy="AUTO") == [("AUTO", "AUTO", 100.0, [1, 2])]


def test_policies_are_called_by_label_name_or_type() -> None:
    runs = [run(max_batch_size=4), run(max_batch_size=8), run("LOAD_DVA", name="mine")]
    assert met(runs, runs, policy="mine", against="NORMAL batch=8")[0][:2] == ("mine", "NORMAL batch=8")
    assert met(runs, runs, policy="LOAD_DVA", against="NORMAL batch=4")[0][:2] == ("mine", "NORMAL batch=4")
    for name in ("NORMAL", "HYBRID_DVA"):
        with pytest.raises(
            ReportError, match=f"got the policy '{name}', wanted one of NORMAL batch=4, NORMAL batch=8, mine"
        ):
            paired(runs, runs, against=name)


def test_another_bound_on_concurrency_is_another_load() -> None:
    with pytest.raises(ReportError, match="1 of 1 runs, whose schedule NORMAL did not meet"):
        paired([run(bound=4)], [run(bound=8)])
    assert len(paired([run(bound=4)], [run(bound=4)]).matches) == 1


def test_where_nothing_meets_the_rates_and_seeds_are_told() -> None:
    with pytest.raises(
        ReportError, match=r"old side ran at 100 queries/s with seeds 1, the new one at 101\.5 with seeds 1, 2"
    ):
        paired([run()], [run(rate=101.5), run(rate=101.5, seed=2)])
    with pytest.raises(ReportError, match="a side has no runs"):
        paired([run()], [])
