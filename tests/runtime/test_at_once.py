"""Several at once on a device: the slowdown curve."""

from __future__ import annotations

import pytest

from dvabatch.runtime.at_once import rising


def test_sums_of_shares_that_lie_close_make_one_point_and_the_curve_never_falls() -> None:
    assert rising([(1.6, 1.1), (0.42, 1.4), (0.38, 1.2)]).points == (
        (0.4, pytest.approx(1.3)),
        (1.6, pytest.approx(1.3)),
    )
