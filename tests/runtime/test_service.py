"""The Python interface: whoever submits gets their own answer, whatever else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest

from dvabatch.batching.errors import OperationError
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.operations import Advance, New, Operation
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import InputDva, Normal
from dvabatch.batching.view import View
from dvabatch.runtime import Runtime
from dvabatch.runtime.observers import RejectedError
from dvabatch.runtime.padding import PayloadError
from engines.base import Array
from engines.errors import EngineError
from tests.engines.tiny import STAGES as TINY_STAGES
from tests.engines.tiny import Tiny, images
from tests.runtime.rig import Around, Scripted, quick_table, token_of

STAGES, MAX_BATCH = 3, 8
WAIT_S = 30
LANES = (4, 8, 16)


def no_wait(rows: Array) -> None:
    return


def open_runtime(
    policy: Policy | None = None,
    *,
    before: Callable[[Array], None] = no_wait,
    lanes: Sequence[int] = (),
    max_queue: int | None = None,
    drop_late: bool = False,
    launch_timeout_ms: float | None = None,
) -> Runtime:
    profile, tables = quick_table(STAGES, MAX_BATCH, lanes)
    return Runtime(
        [Around(each, before) for each in tables],
        policy or Normal(FillOrWait(MAX_BATCH, 0, 2)),
        profile,
        limits=Limits(STAGES, MAX_BATCH, 4, 2, tuple(lanes) or (None,), max_queue, drop_late),
        launch_timeout_ms=launch_timeout_ms,
        debug=True,
    )


def answer_of(future: Future[Mapping[str, Array]]) -> object:
    return future.result(WAIT_S)["answer"].tolist()


class Gate:
    """Lets nothing through until it is opened."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, rows: Array) -> None:
        self.reached.set()
        assert self.open.wait(WAIT_S)


def test_several_threads_submit_and_each_gets_its_own_answers() -> None:
    wrong: list[int] = []
    with open_runtime() as runtime:

        def client(number: int) -> None:
            tokens = range(number * 100, number * 100 + 25)
            futures = [runtime.submit(token_of(token)) for token in tokens]
            wrong.extend(t for t, f in zip(tokens, futures, strict=True) if answer_of(f) != [t, STAGES])

        clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(WAIT_S)
    assert not any(each.is_alive() for each in clients)
    assert wrong == []


def test_answers_of_a_real_model_equal_it_on_each_query_alone(tiny: Tiny) -> None:
    rows = images(12)
    profile, _ = quick_table(TINY_STAGES, MAX_BATCH)
    with tiny.whole() as whole:
        right = [whole.infer({"input": row[None]})["logits"][0] for row in rows]
    with Runtime(tiny.stages(), InputDva(FillOrWait(5, 0, 2)), profile, debug=True) as runtime:
        futures = [runtime.submit({"input": row}) for row in rows]
        got = [future.result(WAIT_S)["logits"] for future in futures]
    for one, other in zip(got, right, strict=True):
        assert np.abs(one - other).max() <= 1e-4 * np.abs(other).max()


def test_leaving_waits_for_all_that_was_submitted() -> None:
    with open_runtime() as runtime:
        futures = [runtime.submit(token_of(token)) for token in range(30)]
    assert all(future.done() for future in futures)
    assert [answer_of(future) for future in futures] == [[token, STAGES] for token in range(30)]


def test_submit_before_and_after_is_refused() -> None:
    runtime = open_runtime()
    with pytest.raises(EngineError, match="not open"):
        runtime.submit(token_of(1))
    with runtime:
        runtime.submit(token_of(1)).result(WAIT_S)
    with pytest.raises(EngineError, match="not open"):
        runtime.submit(token_of(1))


def test_a_runtime_may_be_opened_again() -> None:
    runtime = open_runtime()
    for _ in range(2):
        with runtime:
            assert answer_of(runtime.submit(token_of(5))) == [5, STAGES]


def test_a_cancelled_query_is_not_answered_and_its_batch_is() -> None:
    gate = Gate()
    with open_runtime(InputDva(FillOrWait(4, 0, 1)), before=gate) as runtime:
        first = runtime.submit(token_of(1))
        assert gate.reached.wait(WAIT_S)
        waiting = [runtime.submit(token_of(token)) for token in (2, 3)]
        assert waiting[0].cancel()
        assert first.cancel()  # in flight
        gate.open.set()
        assert answer_of(waiting[1]) == [3, STAGES]
    for future in (first, waiting[0]):
        with pytest.raises(CancelledError):
            future.result(WAIT_S)
    assert not (runtime._payloads or runtime._lengths or runtime._observer.futures)


def test_an_answer_cannot_be_cancelled_any_more() -> None:
    with open_runtime() as runtime:
        future = runtime.submit(token_of(1))
        assert answer_of(future) == [1, STAGES]
        assert not future.cancel()


def test_a_failing_stage_fails_its_own_queries_alone() -> None:
    def hot(rows: Array) -> None:
        if (rows[:, 0] == 13).any():
            raise EngineError("the stage is hot")

    with open_runtime(Normal(FillOrWait(1, 0, 2)), before=hot) as runtime:
        futures = {token: runtime.submit(token_of(token)) for token in range(10, 16)}
        with pytest.raises(EngineError, match="the stage is hot"):
            futures.pop(13).result(WAIT_S)
        assert {token: answer_of(future) for token, future in futures.items()} == {
            token: [token, STAGES] for token in (10, 11, 12, 14, 15)
        }


def test_a_query_that_is_too_long_is_rejected_alone() -> None:
    with open_runtime(lanes=LANES) as runtime:
        futures = {length: runtime.submit(token_of(length, length), length=length) for length in (3, 17, 16)}
        with pytest.raises(RejectedError, match="length 17 above 16"):
            futures.pop(17).result(WAIT_S)
        assert [len(future.result(WAIT_S)["answer"]) for future in futures.values()] == [3, 16]


def test_a_query_without_a_length_is_rejected_where_lanes_need_one() -> None:
    with open_runtime(lanes=LANES) as runtime, pytest.raises(RejectedError, match="no length given"):
        runtime.submit(token_of(1, 1)).result(WAIT_S)


def test_queries_beyond_the_queue_are_rejected() -> None:
    gate = Gate()
    with open_runtime(Normal(FillOrWait(1, 0, 1)), before=gate, max_queue=2) as runtime:
        futures = [runtime.submit(token_of(0))]
        assert gate.reached.wait(WAIT_S)
        futures += [runtime.submit(token_of(token)) for token in range(1, 5)]
        with pytest.raises(RejectedError, match="queue full"):
            futures[-1].result(WAIT_S)
        gate.open.set()
        assert [answer_of(future) for future in futures[:3]] == [[token, STAGES] for token in range(3)]


def test_a_query_whose_time_to_enter_is_over_is_rejected() -> None:
    gate = Gate()
    with open_runtime(Normal(FillOrWait(1, 0, 1)), before=gate) as runtime:
        first = runtime.submit(token_of(0))
        assert gate.reached.wait(WAIT_S)
        late = runtime.submit(token_of(1), timeout_ms=0.0)
        gate.open.set()
        assert answer_of(first) == [0, STAGES]
        with pytest.raises(RejectedError, match="deadline passed before entry"):
            late.result(WAIT_S)


def test_a_query_that_cannot_be_answered_in_time_is_rejected_at_once() -> None:
    """The table takes 30 us; nobody has to come for the query to be told."""
    gate = Gate()
    with open_runtime(Normal(FillOrWait(1, 0, 1)), before=gate, drop_late=True) as runtime:
        first = runtime.submit(token_of(0))
        assert gate.reached.wait(WAIT_S)
        for timeout_ms in (0.0, 20.0):  # as it comes, and while everything stands still
            with pytest.raises(RejectedError, match=r"deadline can no longer be met|deadline passed"):
                runtime.submit(token_of(1), timeout_ms=timeout_ms).result(WAIT_S)
        assert not first.done()
        gate.open.set()
        assert answer_of(first) == [0, STAGES]


def test_a_launch_that_hangs_fails_its_own_queries_and_the_runtime_serves_on_and_closes() -> None:
    gate = Gate()

    def hang(rows: Array) -> None:
        if (rows[:, 0] == 13).any():
            gate(rows)

    with open_runtime(Normal(FillOrWait(1, 0, 1)), before=hang, launch_timeout_ms=300) as runtime:
        stuck, following = runtime.submit(token_of(13)), runtime.submit(token_of(14))
        with pytest.raises(EngineError, match="launch of stages 0 to 2 given up: no end after 300 ms"):
            stuck.result(WAIT_S)
        assert answer_of(following) == [14, STAGES]
        assert answer_of(runtime.submit(token_of(15))) == [15, STAGES]
    gate.open.set()


@pytest.mark.parametrize("launch_timeout_ms", [0, -1.0, float("nan")])
def test_a_timeout_of_nothing_is_refused(launch_timeout_ms: float) -> None:
    with pytest.raises(ValueError, match="launch_timeout_ms is"):
        open_runtime(launch_timeout_ms=launch_timeout_ms)


def test_lengths_are_padded_and_answers_cut() -> None:
    lengths = np.random.default_rng(1).integers(1, 17, 30).tolist()
    with open_runtime(Normal(FillOrWait(4, 0, 2)), lanes=LANES) as runtime:
        futures = [runtime.submit(token_of(token, length), length=length) for token, length in enumerate(lengths)]
        answers = [answer_of(future) for future in futures]
    assert answers == [[[token, STAGES]] * length for token, length in enumerate(lengths)]


def test_what_fills_a_row_up_is_the_inputs_pad() -> None:
    seen: list[list[list[int]]] = []
    profile, tables = quick_table(STAGES, MAX_BATCH, LANES)
    stages = [Around(each, lambda rows: seen.append(rows[0].tolist())) for each in tables]
    limits = Limits(STAGES, MAX_BATCH, lanes=LANES)
    policy = Normal(FillOrWait(1, 0, 1))
    with Runtime(stages, policy, profile, limits=limits, pads={"query": -7}) as runtime:
        runtime.submit(token_of(5, 2), length=2).result(WAIT_S)
    assert seen[0] == [[5, 0], [5, 0], [-7, -7], [-7, -7]]


@pytest.mark.parametrize(
    "inputs",
    [{}, {"query": np.array([1, 0]), "more": np.array([1, 0])}, {"query": np.array([1, 0, 0])},
     {"query": np.array([1.0, 0.0])}, {"query": np.array([[1, 0]])}, {"query": np.array(1)}],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_the_submitters_error_alone(inputs: dict[str, Array]) -> None:
    gate = Gate()
    with open_runtime(before=gate) as runtime:
        runtime.submit(token_of(0))
        assert gate.reached.wait(WAIT_S)
        batch = [runtime.submit(token_of(1)), runtime.submit(token_of(2))]
        with pytest.raises(PayloadError):
            runtime.submit(inputs)
        gate.open.set()
        assert [answer_of(future) for future in batch] == [[1, STAGES], [2, STAGES]]


def test_a_payload_shorter_than_its_length_is_refused() -> None:
    with open_runtime(lanes=LANES) as runtime, pytest.raises(PayloadError, match=r"wanted int64\[3, 2\]"):
        runtime.submit(token_of(1, 2), length=3)


@pytest.mark.parametrize("length", [0, -1])
def test_an_impossible_length_leaves_nothing_behind(length: int) -> None:
    with open_runtime() as runtime:
        with pytest.raises(ValueError, match="length is 1 or more"):
            runtime.submit(token_of(1), length=length)
        assert not (runtime._payloads or runtime._lengths or runtime._observer.futures)
        assert answer_of(runtime.submit(token_of(2))) == [2, STAGES]


def test_a_policys_defect_reaches_everybody_who_waits() -> None:
    gate = Gate()

    def broken(view: View) -> Sequence[Operation]:
        if view.waiting.count == 2:
            return (New(0, (99,)),)
        if view.waiting.count and not list(view.batches):
            return (New(0, view.waiting.first(0, 1)), Advance(view.next_batch_id, STAGES - 1))
        return ()

    runtime = open_runtime(Scripted(broken), before=gate)
    with runtime:
        futures = [runtime.submit(token_of(token)) for token in range(3)]
        gate.open.set()
        for future in futures[1:]:
            with pytest.raises(OperationError, match="99"):
                future.result(WAIT_S)
        with pytest.raises(EngineError, match=r"not open: .*99"):
            runtime.submit(token_of(3))
