from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.policy import LoadDva
from dvabatch.batching.profile import Profile
from dvabatch.reporting.batches_over_time import batch_metrics, batches_figure, launches_of
from dvabatch.reporting.errors import ReportError
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder


def recorded(arrivals_ns: list[int]) -> list[str]:
    """A trace of LOAD_DVA on two stages of 1 ms."""
    profile = Profile.from_table({"stages": [{"latency_ms": {"1": 1.0, "8": 1.0}}] * 2})
    policy = LoadDva(CatchingUp(max_batch=8, max_merged=8, last_stage=1, max_age_ns=None))
    machine = Machine(Limits(2, 8, 4, 1, (None,), None), profile, policy)
    sink = io.StringIO()
    SimulatedDriver(machine, Recorder(machine, sink)).run(np.array(arrivals_ns), None, None)
    return sink.getvalue().splitlines()


def test_launches_and_arrivals_are_those_of_the_run() -> None:
    found = launches_of(recorded([0, 100_000, 200_000, 25_000_000]))
    assert found["arrivals"] == [3, 0, 1]  # by bins of 10 ms
    assert found["launches"][0] == [0.0, 0, 0, 1]  # enters at once
    for stage in (0, 1):
        assert sum(rows for _, first, last, rows in found["launches"] if first <= stage <= last) == 4


def test_the_mean_batch_counts_each_stage_of_a_launch() -> None:
    each = {"bin_ms": 10.0, "arrivals": [3], "launches": [[0.0, 0, 1, 2], [1.0, 1, 1, 4]]}
    assert batch_metrics({"AUTO": each}) == {"mean_rows.auto.0": 2.0, "mean_rows.auto.1": 3.0}


def test_a_damaged_trace_is_refused_by_line() -> None:
    with pytest.raises(ReportError, match="line 2 of the trace is damaged"):
        launches_of(['{"trace":1}', '{"events":[]'])


def test_a_column_for_each_policy_and_a_row_for_each_stage(report: dict[str, Any]) -> None:
    each = {"bin_ms": 10.0, "arrivals": [3, 1], "launches": [[0.0, 0, 1, 2], [12.0, 1, 1, 4]]}
    figure = batches_figure(report, {"LOAD_DVA": each, "OPERATOR_DVA": each})
    assert figure is not None
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes[:2]] == ["LOAD_DVA", "OPERATOR_DVA"]
    last = figure.axes[4].lines[0]
    assert (list(last.get_xdata()), list(last.get_ydata())) == ([0.0, 12.0], [2, 4])
    assert batches_figure(report, {"LOAD_DVA": {**each, "launches": []}}) is None
