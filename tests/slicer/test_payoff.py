"""The number of stages that pays: none for what favours alike, some for a U-Net, none again where boundaries cost."""

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.choose import Plan, Segment, settle
from slicer.favor import favored_batches
from slicer.payoff import MOST_STAGES, Offer, best_of, cheapest, offers, said
from slicer.tax import Tax
from slicer.timing import shares

SIZES = (1, 2, 4, 8)
FREE = Tax(0.0, 0.0)


def part(run_ms: float, row_ms: float) -> dict[int, float]:
    """What a launch takes in any case, and for each of its rows."""
    return {size: run_ms + row_ms * size for size in SIZES}


ALIKE = [part(0.05, 0.01)] * 24
# The middle, at low resolution, takes nearly the same for a batch as for a row; the ends take it row by row.
ENDS, MIDDLE = [part(0.003, 0.012)] * 8, [part(0.06, 0.001)] * 8
UNET = [*ENDS, *MIDDLE, *ENDS]


def offered(
    segments_ms: Sequence[Mapping[int, float]], tax: Tax = FREE, boundary_ms: float = 0.0, cut_bytes: int = 1000
) -> list[Offer]:
    """As the slicer asks, with an estimate that knows the shares."""
    found = shares(segments_ms)
    segments = [Segment(share, rows) for share, rows in zip(found, favored_batches(segments_ms, found), strict=True)]
    carried = [cut_bytes] * (len(segments_ms) - 1)
    return offers(segments_ms, carried, tax, boundary_ms, lambda stages: settle(segments, found, carried, stages, 0.0))


def stages(segments_ms: Sequence[Mapping[int, float]], tax: Tax = FREE, boundary_ms: float = 0.0) -> int:
    return best_of(offered(segments_ms, tax, boundary_ms)).stages


def test_segments_that_favour_alike_are_worth_one_stage() -> None:
    found = offered(ALIKE)
    assert [offer.stages for offer in found] == list(range(1, MOST_STAGES + 1))
    assert [offer.cost_ms for offer in found] == pytest.approx(
        [found[0].cost_ms] * len(found)
    )  # no cut is worth a thing
    assert best_of(found).stages == 1


@given(st.floats(0.0, 0.2), st.floats(0.001, 0.2), st.lists(st.floats(0.1, 3.0), min_size=2, max_size=12))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_alike_means_the_same_curve_at_any_height(run_ms: float, row_ms: float, heights: list[float]) -> None:
    segments_ms = [part(run_ms * height, row_ms * height) for height in heights]
    found = offered(segments_ms)
    assert all(offer.cost_ms >= found[0].cost_ms * (1 - 1e-9) for offer in found)
    assert best_of(found).stages == 1


def test_a_heavy_middle_at_low_resolution_is_worth_a_cut() -> None:
    best = best_of(offered(UNET))
    assert best.stages >= 2
    # The middle runs large batches, and those behind it leave in smaller ones.
    assert best.batches[-1] < max(best.batches)
    assert best.plan.cuts[-1] >= 15  # no part of the middle is behind the last cut


def test_only_the_way_out_counts() -> None:
    # In front of a middle that waits for all, small batches gain nothing.
    assert stages([*MIDDLE, *ENDS]) >= 2
    assert stages([*ENDS, *MIDDLE]) == 1


@pytest.mark.parametrize(
    ("tax", "boundary_ms"),
    [(FREE, 0.5), (Tax(0.5, 0.0), 0.0), (Tax(0.0, 1e-3), 0.0)],
    ids=["boundary", "runs", "bytes"],
)
def test_any_price_that_is_high_enough_brings_it_back_to_one(tax: Tax, boundary_ms: float) -> None:
    assert stages(UNET) >= 2
    assert stages(UNET, tax, boundary_ms) == 1
    assert stages(UNET, Tax(tax.run_ms / 1e3, tax.byte_ms / 1e3), boundary_ms / 1e3) >= 2


@given(st.floats(0, 0.2), st.floats(0, 0.2))
@settings(deadline=None, max_examples=15, derandomize=True)
def test_a_higher_price_never_makes_a_plan_cheaper(one_ms: float, other_ms: float) -> None:
    low_ms, high_ms = sorted((one_ms, other_ms))
    for cheap, dear in zip(offered(UNET, boundary_ms=low_ms), offered(UNET, boundary_ms=high_ms), strict=True):
        assert cheap.cost_ms <= dear.cost_ms * (1 + 1e-9)


@given(st.lists(st.floats(0.95, 1.05), min_size=24 * len(SIZES), max_size=24 * len(SIZES)))
@settings(deadline=None, max_examples=40, derandomize=True)
def test_noise_of_five_percent_makes_no_stages_out_of_nothing(noise: list[float]) -> None:
    factors = iter(noise)
    assert stages([{size: ms * next(factors) for size, ms in segment.items()} for segment in ALIKE]) == 1


small = st.lists(st.fixed_dictionaries({size: st.floats(0.1, 5.0) for size in SIZES}), min_size=1, max_size=4)


@given(small, st.sampled_from(SIZES))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_the_batches_are_the_best_of_all(stages_ms: list[dict[int, float]], waiting: int) -> None:
    def cost_ms(batches: tuple[int, ...]) -> float:
        return sum(
            latency_ms[rows] / rows * (waiting + (max(batches[stage:]) + 1) / 2)
            for stage, (latency_ms, rows) in enumerate(zip(stages_ms, batches, strict=True))
        )

    least_ms, batches = cheapest(stages_ms, waiting)
    assert least_ms == pytest.approx(cost_ms(batches))
    assert least_ms == pytest.approx(min(map(cost_ms, product(SIZES, repeat=len(stages_ms)))))


def test_a_model_of_one_segment_is_one_stage() -> None:
    found = offers([part(0.1, 0.1)], [], FREE, 0.0, lambda stages: Plan((), 1.0, 1.0))
    assert [offer.stages for offer in found] == [1]
    assert best_of(found) is found[0]


def test_without_batches_there_is_nothing_to_gain() -> None:
    assert stages([{1: ms} for ms in (1.0, 2.0, 3.0, 1.0)]) == 1


def test_a_stage_more_has_to_save_a_margin() -> None:
    def offer(stages: int, cost_ms: float) -> Offer:
        return Offer(Plan(tuple(range(stages - 1)), 1.0, 1.0), (8,) * stages, cost_ms)

    assert best_of([offer(1, 100.0), offer(2, 99.1)]).stages == 1
    assert best_of([offer(1, 100.0), offer(2, 98.9)]).stages == 2
    assert best_of([offer(1, 100.0), offer(2, 98.9), offer(3, 98.0)]).stages == 2
    assert best_of([offer(1, 100.0), offer(2, 101.0), offer(3, 90.0)]).stages == 3


def test_the_choice_is_told_with_its_reasons() -> None:
    found = offered(UNET)
    line = said(found, best_of(found))
    assert f"chose {best_of(found).stages}, " in line
    assert line.count("%") == len(found) - 1
