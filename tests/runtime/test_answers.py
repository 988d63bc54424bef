"""Answers are the proof: whatever a batch goes through, each equals the whole model on that query alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest

from dvabatch.batching.commands import Launch
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.operations import Advance, Merge, New, Operation, Split
from dvabatch.batching.place import Place
from dvabatch.batching.states import BatchState
from dvabatch.batching.view import View
from dvabatch.runtime.tensors import TensorTable
from dvabatch_cli.answers import difference
from engines.base import Array, StageEngine
from tests.engines.tiny import STAGES, Tiny, images
from tests.runtime.rig import Around, Rig, Scripted, Served, bytes_across, quick_table
from tests.runtime.test_threaded import POLICIES, arrivals

MAX_BATCH, QUERIES = 8, 72
LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2)
TOLERANCE = 1e-4
# What each policy can do, and therefore has to have done under this load.
DOES = {
    "NORMAL": {"new"},
    "NORMAL_INPUT": {"new"},
    "INPUT_DVA": {"new"},
    "LOAD_DVA": {"new", "stretch", "merge", "hold"},
    "OPERATOR_DVA": {"new", "split", "merge"},
    "HYBRID_DVA": {"new", "stretch", "split", "merge"},
}


@pytest.fixture(scope="module")
def rows() -> Array:
    return images(QUERIES, seed=3)


@pytest.fixture(scope="module")
def right(tiny: Tiny, rows: Array) -> list[Array]:
    """The whole model's answers on each query alone."""
    with tiny.whole() as whole:
        return [whole.infer({"input": row[None]})["logits"][0] for row in rows]


@contextmanager
def rig(tiny: Tiny, policy: Policy, rows: Array, *, before: Callable[[Array], None] | None = None) -> Iterator[Rig]:
    profile, _ = quick_table(STAGES, MAX_BATCH)
    with ExitStack() as opened:
        engines: list[StageEngine] = [opened.enter_context(stage) for stage in tiny.stages(MAX_BATCH)]
        stages = engines if before is None else [Around(engine, before) for engine in engines]
        yield Rig(stages, profile, policy, LIMITS, lambda query: {"input": rows[query]}, [{"input": rows[:1]}])


def wrong_of(answers: Mapping[int, Mapping[str, Array]], right: Sequence[Array]) -> list[int]:
    return [
        query_id for query_id, answer in answers.items() if difference(answer["logits"], right[query_id])[1] > TOLERANCE
    ]


def test_the_answers_of_different_queries_are_told_apart(right: list[Array]) -> None:
    """Otherwise every check below would be empty: any two answers differ by far more than the tolerance."""
    for query_id in range(1, QUERIES):
        assert difference(right[query_id - 1], right[query_id])[1] > 100 * TOLERANCE


@pytest.mark.parametrize("name", POLICIES)
def test_every_answer_equals_the_whole_model_on_that_query_alone(
    tiny: Tiny, rows: Array, right: list[Array], name: str
) -> None:
    with rig(tiny, POLICIES[name], rows) as built:
        served = built.pull(arrivals(QUERIES, seed=4, gap_ns=150_000))
    assert sorted(served.answers) == list(range(QUERIES))
    assert wrong_of(served.answers, right) == []
    done = {operation for operation, count in served.machine.operations.items() if count}
    assert done >= DOES[name], served.machine.operations
    assert any(launch.place.first_row for launch in served.launches) == (name not in {
        "NORMAL", "NORMAL_INPUT", "INPUT_DVA"
    })  # fmt: skip


def _ready(view: View, stage: int) -> list[int]:
    return [batch.id for batch in view.batches if batch.state is BatchState.READY and batch.stage == stage]


def _advance(view: View, stage: int) -> Sequence[Operation]:
    return tuple(Advance(batch_id, stage) for batch_id in _ready(view, stage)[: view.idle[stage]])


def across_sets(view: View) -> Sequence[Operation]:
    """Two batches in sets of their own, merged before stage 1: the second's rows move behind the first's."""
    if view.waiting.count == 5:
        return (New(0, (0, 1, 2)), New(0, (3, 4)))
    met = _ready(view, 1)
    if len(met) == 2:
        return (Merge(met[0], met[1]),)
    if met and len(list(view.batches)) == 1:
        return (Advance(met[0], STAGES - 1),)
    return _advance(view, 0)


def into_a_third(view: View) -> Sequence[Operation]:
    """A part with a neighbour right behind it has no room: it and the batch of another set move to a free one."""
    if view.waiting.count == 6:
        return (New(0, (0, 1, 2, 3)), New(0, (4, 5)))
    met = _ready(view, 1)
    sizes = [view.batch_by_id[batch_id].size for batch_id in met]
    if sorted(sizes) == [2, 4]:
        return (Split(met[sizes.index(4)], (3, 1)),)
    if sorted(sizes) == [1, 2, 3]:
        return (Merge(met[sizes.index(3)], met[sizes.index(2)]),)
    if sorted(sizes) == [1, 5]:
        return tuple(Advance(batch_id, STAGES - 1) for batch_id in met)
    return _advance(view, 0)


@pytest.mark.parametrize(("script", "queries", "moved_rows"), [(across_sets, 5, 2), (into_a_third, 6, 5)])
def test_a_merge_across_sets_copies_and_answers_stay_right(
    tiny: Tiny, rows: Array, right: list[Array], script: Callable[[View], Sequence[Operation]], queries: int,
    moved_rows: int,
) -> None:  # fmt: skip
    with rig(tiny, Scripted(script), rows) as built:
        served = built.pull([0] * queries)
    assert sorted(served.answers) == list(range(queries))
    assert wrong_of(served.answers, right) == []
    assert served.machine.operations["merge"] == 1
    assert served.journal.bytes_copied == moved_rows * bytes_across(served.table.layout, 1, 0) > 0
    merged = max(served.launches, key=lambda launch: (launch.first_stage, len(launch.query_ids)))
    assert (merged.first_stage, len(merged.query_ids)) == (1, 5)


def _split_and_run(view: View) -> Sequence[Operation]:
    """One batch, cut in two before stage 1: the second part lies at an offset."""
    if view.waiting.count:
        return (New(0, (0, 1, 2, 3)),)
    met = _ready(view, 1)
    if [view.batch_by_id[batch_id].size for batch_id in met] == [4]:
        return (Split(met[0], (1, 3)),)
    return tuple(Advance(batch_id, STAGES - 1) for batch_id in met) or _advance(view, 0)


def _no_offset(place: Place) -> Place:
    return place._replace(first_row=0)


def _one_too_far(place: Place) -> Place:
    return place._replace(first_row=place.first_row + 1) if place.first_row else place


@pytest.mark.parametrize("mistake", [None, _no_offset, _one_too_far])
def test_a_wrong_row_offset_is_found(
    tiny: Tiny, rows: Array, right: list[Array], monkeypatch: pytest.MonkeyPatch, mistake: Callable[[Place], Place] | None
) -> None:  # fmt: skip
    correct = TensorTable.rows
    if mistake is not None:
        monkeypatch.setattr(
            TensorTable, "rows", lambda self, place, lane, names: correct(self, mistake(place), lane, names)
        )
    with rig(tiny, Scripted(_split_and_run), rows) as built:
        served = built.pull([0] * 4)
    wrong = wrong_of(served.answers, right)
    assert bool(wrong) == (mistake is not None)


def test_a_copy_that_is_left_out_is_found(
    tiny: Tiny, rows: Array, right: list[Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TensorTable, "copy", lambda self, command: 0)
    with rig(tiny, Scripted(across_sets), rows) as built:
        served = built.pull([0] * 5)
    assert wrong_of(served.answers, right) == [3, 4]


def test_members_keep_their_order_in_front(tiny: Tiny, rows: Array) -> None:
    """A stretched batch goes on under the head's id, its own members first."""
    with rig(tiny, POLICIES["LOAD_DVA"], rows) as built:
        served: Served = built.pull(arrivals(QUERIES, seed=5, gap_ns=150_000))
    by_batch: dict[int, list[Launch]] = {}
    for launch in served.launches:
        by_batch.setdefault(launch.batch_id, []).append(launch)
    grown = 0
    for launches in by_batch.values():
        for before, after in pairwise(launches):
            assert after.query_ids[: len(before.query_ids)] == before.query_ids
            grown += len(after.query_ids) > len(before.query_ids)
    assert grown > 0
