from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvabatch.reporting.contrast import Asked, Contrast, contrast, in_words
from dvabatch.reporting.contrast_table import contrast_table
from dvabatch.reporting.measured import IntArray, Measured, Queries, Status
from dvabatch.reporting.metric_ratio import METRICS, Ratio
from dvabatch.reporting.pairing import Match, Pair, paired
from dvabatch.reporting.series import Run
from dvabatch.reporting.side import open_side
from dvabatch.reporting.verdict import Verdict
from tests.reporting.saved import MakeMeasured, noisy, save


def row(old: Path, new: Path, **asked: Any) -> Contrast:
    before, after = open_side(old), open_side(new)
    (match,) = paired(before.runs, after.runs).matches
    return contrast(match, before.responses, after.responses, Asked(**asked))


@pytest.fixture
def runs(make_measured: MakeMeasured) -> list[Measured]:
    return [make_measured(n=600, seed=seed, alone=0.3) for seed in range(1, 6)]


def test_a_run_against_itself_is_no_different(tmp_path: Path, runs: list[Measured]) -> None:
    for count in (1, 5):
        folder = save(tmp_path / str(count), runs[:count])
        found = row(folder, folder)
        assert found.verdict is Verdict.NO_DIFFERENCE
        assert found.flips_p == 1.0
        assert {name: (ratio.ratio, ratio.interval) for name, ratio in found.ratios.items()} == {
            name: (1.0, (1.0, 1.0)) for name in METRICS if name != "p99.9"
        }


def test_noise_alone_is_no_difference_and_three_percent_are_found(runs: list[Measured]) -> None:
    """Every response varies by 2 %: over seeds of that noise, one run a side and five."""
    for count, seeds in ((1, 40), (5, 20)):
        verdicts: dict[float, list[Verdict]] = {1.0: [], 1.03: []}
        for seed in range(seeds):
            old = [noisy(run, 1000 + 10 * seed + at) for at, run in enumerate(runs[:count])]
            for slower, found in verdicts.items():
                new = [noisy(run, 5000 + 10 * seed + at, slower) for at, run in enumerate(runs[:count])]
                found.append(judged(old, new))
        assert verdicts[1.0].count(Verdict.NO_DIFFERENCE) >= 0.95 * seeds
        assert verdicts[1.03].count(Verdict.SLOWER) >= 0.9 * seeds


def judged(old: list[Measured], new: list[Measured]) -> Verdict:
    """Without files: summaries that say what the verdict needs, and the responses themselves."""
    (match,) = paired([bare(each) for each in old], [bare(each) for each in new]).matches
    return contrast(match, responses_of, responses_of, Asked()).verdict


def bare(measured: Measured) -> dict[str, Any]:
    return {
        "policy": dict(measured.policy), "role": measured.role, "load": dict(measured.load), "valid": True, "saturated": False,
        "invalid_reasons": [], "counts": {"offered": len(measured.queries), "completed": len(measured.queries)},
        "measured": measured,
    }  # fmt: skip


def responses_of(run: Run) -> IntArray:
    found: IntArray = run["measured"].queries.response_by_id_ns()
    return found


def test_swapping_the_sides_turns_every_ratio_round(tmp_path: Path, runs: list[Measured]) -> None:
    for count in (1, 5):
        old = save(tmp_path / f"old{count}", runs[:count])
        new = save(tmp_path / f"new{count}", [noisy(run, at, 1.05) for at, run in enumerate(runs[:count])])
        there, back = row(old, new), row(new, old)
        assert (there.verdict, back.verdict) == (Verdict.SLOWER, Verdict.FASTER)
        for name, ratio in there.ratios.items():
            other = back.ratios[name]
            assert ratio.interval is not None
            assert other.interval is not None
            assert ratio.ratio == pytest.approx(1 / other.ratio)
            assert ratio.interval == pytest.approx((1 / other.interval[1], 1 / other.interval[0]), rel=2e-3)


def test_several_seeds_are_students_t_over_logarithms(tmp_path: Path, runs: list[Measured]) -> None:
    new = [noisy(run, at, 1 + at / 50) for at, run in enumerate(runs)]
    found = row(save(tmp_path / "old", runs), save(tmp_path / "new", new))
    ratios = [
        two.queries.response_ns().mean() / one.queries.response_ns().mean() for one, two in zip(runs, new, strict=True)
    ]
    logs = np.log(ratios)
    half = 2.776445 * logs.std(ddof=1) / 5**0.5
    assert found.method == "Student's t over seeds"
    assert found.headline is not None
    assert found.headline.ratio == pytest.approx(np.exp(logs.mean()))
    assert found.headline.interval == pytest.approx((np.exp(logs.mean() - half), np.exp(logs.mean() + half)), rel=1e-5)
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.runs_needed is not None
    assert f"about {found.runs_needed - 5} more runs would" in in_words(found)


def told(interval: tuple[float, float], flips_p: float | None, needed: int | None) -> str:
    """A row of five runs that cannot tell, in words."""
    runs = [{"load": {"seed": seed, "utilization": 0.5}, "policy": {}} for seed in range(5)]
    match = Match("NORMAL", "NORMAL", {"utilization": 0.5}, tuple(Pair(run, run) for run in runs), ())
    ratios = {"mean": Ratio(sum(interval) / 2, interval, 0.01)}
    return in_words(Contrast(match, ratios, flips_p, None, (1.0, 1.0), Verdict.CANNOT_TELL, needed, Asked(), ()))


def test_what_keeps_it_from_a_verdict_is_told() -> None:
    assert told((0.98, 1.03), 0.01, 6).endswith("; about 1 more run would")
    assert told((0.98, 1.03), 0.01, 7).endswith("; about 2 more runs would")
    assert told((0.98, 1.03), 0.01, None).endswith("; more than 1,000 runs would")
    assert told((1.02, 1.05), 0.21, None).endswith("; the permutation test does not see it (p 0.21)")


def test_a_difference_that_only_the_interval_sees_is_not_a_matter_of_more_runs(
    tmp_path: Path, runs: list[Measured]
) -> None:
    """One query in a run takes very long: the same in each seed, so that the interval is narrow; swaps of whole blocks show
    that it is one block alone."""
    new = []
    for run in runs:
        done = run.queries.done_ns.copy()
        done[300] += round(0.04 * (done - run.queries.arrival_ns).sum())
        queries = Queries(
            run.queries.arrival_ns, run.queries.admitted_ns, done, run.queries.status, run.queries.late_free
        )
        new.append(Measured(**{name: getattr(run, name) for name in run.__slots__} | {"queries": queries}))
    found = row(save(tmp_path / "old", runs), save(tmp_path / "new", new))
    assert found.headline is not None
    assert found.headline.interval == pytest.approx((1.04, 1.04), rel=1e-3)
    assert found.flips_p is not None
    assert found.flips_p > 0.05
    assert (found.verdict, found.runs_needed) == (Verdict.CANNOT_TELL, None)
    assert "the permutation test does not see it" in in_words(found)


def test_summaries_alone(tmp_path: Path, runs: list[Measured]) -> None:
    new = [noisy(run, at, 1.05) for at, run in enumerate(runs)]
    found = row(save(tmp_path / "old", runs, records=False), save(tmp_path / "new", new))
    assert found.verdict is Verdict.SLOWER
    assert found.flips_p is None
    assert "5 of 5 pairs lack raw records: all are taken from the summaries" in found.notes
    alone = row(save(tmp_path / "one", runs[:1], records=False), save(tmp_path / "two", new[:1], records=False))
    assert (alone.verdict, alone.method, alone.runs_needed) == (Verdict.CANNOT_TELL, None, None)
    assert alone.headline is not None
    assert alone.headline.ratio == pytest.approx(1.05, rel=0.01)
    assert "nothing says how far the ratio may be off" in in_words(alone)


def with_status(measured: Measured, lost: int) -> Measured:
    """The same with the first queries rejected."""
    old = measured.queries
    status, done = old.status.copy(), old.done_ns.copy()
    status[:lost] = Status.REJECTED
    queries = Queries(old.arrival_ns, old.admitted_ns, done, status, old.late_free)
    return Measured(**{name: getattr(measured, name) for name in measured.__slots__} | {"queries": queries})


def test_refusing_queries_is_not_being_faster(tmp_path: Path, runs: list[Measured]) -> None:
    old, new = save(tmp_path / "old", runs[:1]), save(tmp_path / "new", [with_status(noisy(runs[0], 1, 0.5), 60)])
    found = row(old, new)
    assert found.verdict is Verdict.FEWER_ANSWERS
    assert found.slower_by(0.03)
    assert "left out: 60 of 600 queries of seed 1 that not both answered" in found.notes
    assert in_words(found) == "NORMAL at 50 %: answers 90.0% of the queries, 100.0% before"
    back = row(new, old)
    assert back.verdict is Verdict.SLOWER
    assert any("answered queries that the old one did not" in note for note in back.notes)


def test_an_invalid_run_settles_nothing(tmp_path: Path, runs: list[Measured]) -> None:
    late = runs[0].queries
    queries = Queries(late.arrival_ns, late.done_ns, late.done_ns, late.status, np.ones(len(late), np.bool_))
    spoilt = Measured(**{name: getattr(runs[0], name) for name in runs[0].__slots__} | {"queries": queries})
    found = row(save(tmp_path / "old", runs[:1]), save(tmp_path / "new", [spoilt]))
    assert found.verdict is Verdict.INVALID
    assert any(note.startswith("INVALID: the sender was late") for note in found.notes)
    assert not found.slower_by(0.03)


def test_the_metric_that_was_asked_for(tmp_path: Path, make_measured: MakeMeasured) -> None:
    """One answer in twenty takes three times as long: the median does not see it, p99 does."""
    run = make_measured(n=2000, alone=0.3)
    old = run.queries
    done = old.done_ns.copy()
    done[::20] += 2 * (done - old.arrival_ns)[::20]
    queries = Queries(old.arrival_ns, old.admitted_ns, done, old.status, old.late_free)
    slow = Measured(**{name: getattr(run, name) for name in run.__slots__} | {"queries": queries})
    sides = save(tmp_path / "old", [run]), save(tmp_path / "new", [slow])
    assert row(*sides, metric="p99").verdict is Verdict.SLOWER
    assert row(*sides, metric="p50", min_effect=0.1).verdict is Verdict.NO_DIFFERENCE
    assert row(*sides, metric="p99.9").verdict is Verdict.CANNOT_TELL
    assert "the sample does not support p99.9" in row(*sides, metric="p99.9").notes
    with pytest.raises(ValueError, match="got the metric 'p98', wanted one of mean, p50"):
        Asked("p98")
    with pytest.raises(ValueError, match="got the minimum effect 1, wanted a share"):
        Asked(min_effect=1)


def test_the_gate(tmp_path: Path, runs: list[Measured]) -> None:
    old, new = save(tmp_path / "old", runs[:1]), save(tmp_path / "new", [noisy(runs[0], 1, 1.05)])
    found = row(old, new)
    assert found.slower_by(0.03)
    assert not found.slower_by(0.08)
    assert not found.may_be_slower_by(0.08)
    assert not row(new, old).slower_by(0.03)


def test_the_table_has_a_row_for_each(tmp_path: Path, runs: list[Measured]) -> None:
    folder = save(tmp_path / "a", runs)
    found = row(folder, folder)
    table = contrast_table([found, found], "mean")
    assert table.row_count == 2
    assert [column.header for column in table.columns][2:6] == ["ratio", "95 %", "p50", "p99"]
    assert [column.header for column in contrast_table([found], "p99").columns][2:6] == ["ratio", "95 %", "mean", "p50"]
