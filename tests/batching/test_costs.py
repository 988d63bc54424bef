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


def test_each_further_row_of_a_fresh_batch_keeps_the_host_busy_and_none_of_one_that_continues() -> None:
    costs = Costs(100, 40, launch_busy_ns=30, launch_busy_ns_per_row=7)
    assert [costs.busy_ns(0, rows) for rows in (1, 2, 11)] == [30, 37, 100]
    assert [costs.host_ns(0, rows) for rows in (1, 2, 11)] == [100, 107, 170]
    assert (costs.busy_ns(1, 11), costs.host_ns(1, 11)) == (40, 40)


def test_a_pace_is_what_queueing_took_over_what_it_takes_for_as_many_rows() -> None:
    costs = Costs(100, queueing_ns=40, first_queueing_ns=10, launch_busy_ns_per_row=5)
    assert costs.pace_of(60) == 1.5
    assert costs.pace_of(60, 5) == 1.0
    assert costs.pace_of(60, 5, first_alone=True) == 2.0
    assert Costs(100, queueing_ns=40).pace_of(60, 5) is None  # what rows take is not known
    assert Costs(100, queueing_ns=40).pace_of(60, first_alone=True) is None
    assert Costs(100).pace_of(60) is None


def test_a_table_holds_what_costs_and_what_is_known() -> None:
    always = {"launch_us": 0.0, "boundary_us": 0.0, "copy_us_per_row": 0.0}
    assert Costs().table_us() == always
    assert Costs(launch_busy_ns=0).table_us() == {**always, "launch_busy_us": 0.0}
    assert Costs(bounce_ns=1500).table_us() == {**always, "bounce_us": 1.5, "bounce_us_per_row": 0.0}
