"""What being cut costs, read off a chain of segments and the whole model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.tax import Tax, relieve, tax_of

BYTES = (400, 100)


@given(st.floats(0, 2), st.floats(0, 1e-3), st.sampled_from([2, 4, 8]))
def test_the_tax_that_was_put_on_is_found(run_ms: float, byte_ms: float, many: int) -> None:
    whole_ms = {1: 5.0, many: 5.0 + many}
    chain_ms = {size: ms + len(BYTES) * run_ms + byte_ms * sum(BYTES) * size for size, ms in whole_ms.items()}
    tax = tax_of(chain_ms, whole_ms, BYTES)
    assert (tax.run_ms, tax.byte_ms) == (pytest.approx(run_ms, abs=1e-6), pytest.approx(byte_ms, abs=1e-9))


def test_relieved_segments_take_what_they_took_before() -> None:
    tax = Tax(run_ms=0.5, byte_ms=0.01)
    pure = [{1: 10.0, 4: 20.0}, {1: 12.0, 4: 30.0}, {1: 9.0, 4: 25.0}]
    borders = (200, 250, 50)  # each pays for half the bytes of the cuts beside it
    taxed = [
        {size: ms + 0.5 + 0.01 * border * size for size, ms in segment.items()}
        for segment, border in zip(pure, borders, strict=True)
    ]
    for found, wanted in zip(relieve(taxed, BYTES, tax), pure, strict=True):
        assert found == pytest.approx(wanted)


def test_a_segment_keeps_half_its_time() -> None:
    assert relieve([{1: 1.0}, {1: 8.0}], [10], Tax(2.0, 0.0)) == [{1: 0.5}, {1: 6.0}]


def test_a_chain_that_is_faster_than_the_whole_pays_nothing() -> None:
    assert tax_of({1: 1.0, 4: 3.0}, {1: 2.0, 4: 4.0}, BYTES) == Tax(0.0, 0.0)


def test_with_one_size_all_goes_to_the_runs() -> None:
    assert tax_of({1: 3.0}, {1: 2.0}, BYTES) == Tax(0.5, 0.0)


@pytest.mark.parametrize("wrong", [(-1.0, 0.0), (0.0, -1.0), (float("nan"), 0.0)])
def test_a_tax_that_pays_is_none(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="wanted 0 or more"):
        Tax(*wrong)
