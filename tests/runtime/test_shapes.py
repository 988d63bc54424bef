"""The layout of a chain of stages, learnt by running it."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from dvabatch.runtime.shapes import lay_out
from engines.errors import EngineError
from tests.engines.tiny import Tiny, images
from tests.runtime.rig import bytes_across, quick_table, token_of


def test_what_is_alive_is_what_a_later_stage_reads_or_the_answer_holds(tiny: Tiny) -> None:
    with ExitStack() as opened:
        stages = [opened.enter_context(stage) for stage in tiny.stages()]
        layout = lay_out(stages, [{"input": images(1)}], ["logits"])
    assert layout.alive[0] == ("input",)
    for index, stage in enumerate(tiny.manifest.stages):
        assert layout.reads[index] == tuple(tensor.name for tensor in stage.inputs)
        assert set(layout.reads[index]) <= set(layout.alive[index])
        if index:
            across = tiny.manifest.stages[index - 1].crossing_bytes_per_row
            assert bytes_across(layout, index, 0) == across
    assert layout.rows[0]["logits"].shape == (10,)


def test_lanes_have_rows_of_their_own_length() -> None:
    _, stages = quick_table(2, 4, lanes=(8, 16))
    layout = lay_out(
        stages, [{name: rows[None] for name, rows in token_of(0, length).items()} for length in (8, 16)], ["answer"]
    )
    assert [lane["boundary_0"].shape for lane in layout.rows] == [(8, 2), (16, 2)]
    assert bytes_across(layout, 1, 1) == 16 * 2 * 8


def test_a_chain_with_a_gap_is_refused() -> None:
    _, stages = quick_table(3)
    example = [{"query": np.zeros((1, 2), np.int64)}]
    with pytest.raises(EngineError, match=r"stage 1 reads \['boundary_1'\]"):
        lay_out([stages[0], stages[2]], example, ["answer"])
    with pytest.raises(EngineError, match=r"no stage writes the model's outputs \['other'\]"):
        lay_out(stages, example, ["other"])
