from __future__ import annotations

import pytest

from dvabatch.batching.costs import Costs


@pytest.mark.parametrize(
    ("launch_busy_ns", "boundary_busy_ns", "busy_ns"),
    [(None, None, (100, 40)), (30, 10, (30, 10)), (0, None, (0, 40)), (400, 41, (100, 40))],
)
def test_a_host_is_busy_for_all_of_a_launch_or_for_what_was_measured_and_never_for_more(
    launch_busy_ns: int | None, boundary_busy_ns: int | None, busy_ns: tuple[int, int]
) -> None:
    costs = Costs(100, 40, launch_busy_ns=launch_busy_ns, boundary_busy_ns=boundary_busy_ns)
    assert (costs.busy_ns(0), costs.busy_ns(2)) == busy_ns
    assert (costs.host_ns(0), costs.host_ns(2)) == (100, 40)
