"""The polling driver and the device launcher: answers, rows, graphs and faults, on a device that reorders all it may."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Operation
from dvabatch.batching.place import Place
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.entry import FillOrWait, JustInTime
from dvabatch.batching.profile import Profile
from dvabatch.batching.view import View
from dvabatch.runtime import device_payloads, device_transfers, padding
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.device_faults import FaultyDevice
from dvabatch.runtime.device_launcher import DeviceLauncher
from dvabatch.runtime.device_table import DeviceTable
from dvabatch.runtime.faults import Fault, Faults
from dvabatch.runtime.journal import Journal, Outcome
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.shapes import lay_out_modules
from dvabatch.runtime.trace import Recorder, retrace
from engines.base import Array, StageEngine
from engines.device import DeviceError
from engines.errors import EngineError
from tests.engines.tiny import Tiny, images
from tests.laws.random_policy import RandomPolicy
from tests.runtime.fake_device import FakeDevice, FakeModule
from tests.runtime.rig import Keeping, Scripted, frozen_token, quick_table, token_of
from tests.runtime.test_answers import DOES, across_sets, into_a_third, wrong_of
from tests.runtime.test_threaded import MAX_BATCH, POLICIES, STAGES, arrivals

LIMITS = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2)
Payload = Callable[[int], Mapping[str, Array] | None]


@dataclass(slots=True)
class Polled:
    """What a run left."""

    journal: Journal
    machine: Machine
    answers: dict[int, Mapping[str, Array]]
    places: list[Place]
    trace: str
    launcher: DeviceLauncher
    given_up: int
    befell: Mapping[str, int]

    def ended(self, outcome: Outcome) -> list[int]:
        return [query_id for query_id, how in enumerate(self.journal.outcome) if how == outcome]


@dataclass(slots=True)
class Bench:
    """A run on the fake device."""

    engines: Sequence[StageEngine]
    profile: Profile
    policy: Policy
    payload: Payload
    examples: Sequence[Mapping[str, Array]]
    limits: Limits = LIMITS
    device: FakeDevice = field(default_factory=FakeDevice)
    graphs: int = 4096
    refuse: Callable[[Mapping[str, tuple[int, ...]]], None] = lambda _: None
    pin: Array | None = None
    timeout_ns: int | None = None
    faults: Sequence[Fault] = ()

    def pull(self, arrivals_ns: Sequence[int], lengths: Sequence[int] | None = None) -> Polled:
        modules = [FakeModule(engine, self.refuse if stage == 1 else lambda _: None)
                   for stage, engine in enumerate(self.engines)]  # fmt: skip
        layout = lay_out_modules(modules, self.examples, [tensor.name for tensor in self.engines[-1].outputs])
        table = DeviceTable(self.device, layout, self.limits.buffer_sets, self.limits.max_batch)
        launcher = DeviceLauncher(self.device, modules, table, graphs=self.graphs)
        payload = self.payload
        if self.pin is not None:
            pool = launcher.pin(self.pin)
            payload = lambda query_id: {layout.inputs[0]: pool[query_id % len(pool)]}  # noqa: E731
        launcher.serve(payload, {})
        machine = Machine(self.limits, self.profile, self.policy, debug=True)
        observer = Keeping(Journal(len(arrivals_ns), lengths), range(len(arrivals_ns)))
        trace = io.StringIO()
        faults = Faults(self.faults, seed=1) if self.faults else None
        driver = PollingDriver(
            machine, table, observer, listener=Recorder(machine, trace), timeout_ns=self.timeout_ns, faults=faults
        )
        driver.rehearses = not isinstance(
            self.policy, (RandomPolicy, Scripted)
        )  # which have a memory, or count on whom they know
        starter = launcher if faults is None else FaultyDevice(launcher, faults, self.profile, driver.now_ns)
        driver.run(starter, PullArrivals(arrivals_ns, lengths))
        assert machine.idle
        if faults is not None:  # what was given up may be under way
            launcher.drain()
        assert not launcher.in_flight
        places = [launch.place for launch in observer.launches]
        return Polled(
            observer.journal, machine, observer.answers, places, trace.getvalue(), launcher, driver.given_up,
            {} if faults is None else faults.counts,
        )  # fmt: skip


def tokens(policy: Policy, lengths: Sequence[int] | None = None, limits: Limits = LIMITS, **more: object) -> Bench:
    """A run on a table's stages: rows of 16 bytes, which lie unaligned wherever they do not begin a set."""
    lanes = [lane for lane in limits.lanes if lane is not None]
    profile, tables = quick_table(STAGES, MAX_BATCH, lanes)
    return Bench(
        tables,
        profile,
        policy,
        lambda query_id: token_of(query_id, None if lengths is None else lengths[query_id]),
        [{name: rows[None] for name, rows in token_of(0, lane).items()} for lane in limits.lanes],
        limits,
        **more,  # type: ignore[arg-type]
    )


def all_right(polled: Polled, count: int) -> None:
    """Every query was answered, with its own token, by every stage once."""
    assert polled.ended(Outcome.COMPLETED) == list(range(count))
    assert {q: a["answer"].tolist() for q, a in polled.answers.items()} == {q: [q, STAGES] for q in range(count)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", POLICIES)
def test_every_query_is_answered_by_every_stage_once_in_whatever_order_streams_run(name: str, seed: int) -> None:
    polled = tokens(POLICIES[name], device=FakeDevice(seed)).pull(arrivals(120, seed))
    all_right(polled, 120)
    fresh = History(LIMITS, polled.machine.profile, POLICIES[name])
    assert len(list(retrace(io.StringIO(polled.trace), fresh))) == polled.trace.count("\n") - 1


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_that_is_opened_ahead_of_the_device_is_answered_as_any_other(seed: int) -> None:
    ahead = Setting(1000.0, JustInTime(FillOrWait(MAX_BATCH, 0, 2)), in_room=False, catching_up=False)
    all_right(tokens(Auto((ahead,)), device=FakeDevice(seed)).pull(arrivals(120, seed)), 120)


@pytest.mark.parametrize("brief", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_only_answers_that_take_long_go_beside_the_track(
    seed: int, brief: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_transfers, "_BRIEF_BYTES", 1 << 18 if brief else 0)
    device = FakeDevice(seed)
    all_right(tokens(POLICIES["LOAD_DVA"], device=device).pull(arrivals(120, seed)), 120)
    assert ({"download"} in device.did) is not brief
    assert ({"stages", "download"} in device.did) is brief


@pytest.mark.parametrize("name", POLICIES)
def test_answers_of_a_model_equal_the_whole_model(tiny: Tiny, name: str) -> None:
    rows = images(48, seed=5)
    with tiny.whole() as whole:
        right = [whole.infer({"input": row[None]})["logits"][0] for row in rows]
    profile, _ = quick_table(STAGES, MAX_BATCH)
    with ExitStack() as opened:
        engines = [opened.enter_context(stage) for stage in tiny.stages(MAX_BATCH)]
        run = Bench(engines, profile, POLICIES[name], lambda query: {"input": rows[query]}, [{"input": rows[:1]}])
        polled = run.pull(arrivals(48, seed=6))
    assert sorted(polled.answers) == list(range(48))
    assert wrong_of(polled.answers, right) == []
    assert {operation for operation, count in polled.machine.operations.items() if count} >= DOES[name] - {"hold"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("script", "queries"), [(across_sets, 5), (into_a_third, 6)])
def test_rows_that_move_between_sets_are_there_before_they_are_read(
    script: Callable[[View], Sequence[Operation]], queries: int, seed: int
) -> None:
    polled = tokens(Scripted(script), device=FakeDevice(seed)).pull([0] * queries)
    all_right(polled, queries)
    assert polled.journal.bytes_copied > 0


@pytest.mark.parametrize(("queueing_us", "slower"), [(0.001, True), (1e6, False)])
def test_the_machine_hears_what_launches_take_the_host(queueing_us: float, *, slower: bool) -> None:
    run = tokens(POLICIES["NORMAL"])
    known = {"launch_us": 9.0, "queueing_us": queueing_us, "launch_busy_us_per_row": 0.0}
    run.profile = Profile.from_table({**run.profile.to_table(), **known})
    polled = run.pull(arrivals(400))
    all_right(polled, 400)
    percents = [int(told) for told in re.findall(r'\["HostPaced",(\d+)\]', polled.trace)]
    assert all((percent > 119) == slower for percent in percents)
    assert polled.machine.ledger.costs == run.profile.costs.at_pace(percents[-1] / 100)
    fresh = History(LIMITS, run.profile, run.policy)
    assert len(list(retrace(io.StringIO(polled.trace), fresh))) == polled.trace.count("\n") - 1


def test_launches_that_find_nothing_under_way_tell_nothing_of_the_host() -> None:
    run = tokens(POLICIES["NORMAL"])
    run.profile = Profile.from_table({**run.profile.to_table(), "queueing_us": 0.001, "launch_busy_us_per_row": 0.0})
    polled = run.pull([20_000_000 * number for number in range(12)])  # ten that counted would be told
    assert "HostPaced" not in polled.trace


def test_graphs_are_used_again_and_change_no_answer() -> None:
    with_graphs = tokens(POLICIES["HYBRID_DVA"]).pull(arrivals(200))
    without = tokens(POLICIES["HYBRID_DVA"], graphs=0).pull(arrivals(200))
    all_right(with_graphs, 200)
    all_right(without, 200)
    assert with_graphs.launcher.graphs.hits > 0
    assert without.launcher.graphs.hits == len(without.launcher.graphs) == 0


def test_few_graphs_are_kept_and_the_oldest_goes() -> None:
    polled = tokens(POLICIES["HYBRID_DVA"], graphs=3).pull(arrivals(100))
    all_right(polled, 100)
    assert len(polled.launcher.graphs) == 3


@pytest.mark.parametrize("name", ["NORMAL", "LOAD_DVA"])
def test_page_locked_payloads_go_from_where_they_lie(name: str) -> None:
    """Rows of a pool of five, round and round: neighbours, and the seam where the pool begins again."""
    pool = images(5, seed=1)[:, 0, 0, :2].astype("int64")
    pool[:, 0], pool[:, 1] = range(5), 0
    polled = tokens(POLICIES[name], pin=pool).pull(arrivals(60))
    assert {q: a["answer"].tolist() for q, a in polled.answers.items()} == {q: [q % 5, STAGES] for q in range(60)}


@pytest.mark.parametrize("name", ["INPUT_DVA", "NORMAL_INPUT", "LOAD_DVA"])
def test_lengths_share_a_set_and_are_padded(name: str) -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2, lanes=(4, 8, 16))
    lengths = [1 + (7 * query) % 16 for query in range(60)]
    polled = tokens(POLICIES[name], lengths, limits).pull(arrivals(60), lengths)
    assert polled.ended(Outcome.COMPLETED) == list(range(60))
    for query, answer in polled.answers.items():
        assert answer["answer"][: lengths[query]].tolist() == [[query, STAGES]] * lengths[query]


@pytest.mark.parametrize("frozen", [True, False])
def test_payloads_that_cannot_change_are_filled_up_once_for_each_lane(
    frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(STAGES, MAX_BATCH, buffer_sets=4, executors_per_stage=2, lanes=(4, 8, 16))
    make = frozen_token if frozen else token_of
    pool = [make(query, length) for query, length in enumerate((3, 7, 4, 11, 2))]
    filled: list[tuple[int, tuple[int, ...]]] = []

    def fill_row(row: Array, value: Array, pad: float, name: str) -> None:
        filled.append((int(value[0, 0]), row.shape))
        padding.fill_row(row, value, pad, name)

    monkeypatch.setattr(device_payloads, "fill_row", fill_row)
    lengths = [len(pool[query % 5]["query"]) for query in range(60)]
    run = tokens(POLICIES["NORMAL_INPUT"], lengths, limits)
    run.payload = lambda query_id: pool[query_id % 5]
    polled = run.pull(arrivals(60), lengths)
    for query, answer in polled.answers.items():
        assert answer["answer"][: lengths[query]].tolist() == [[query % 5, STAGES]] * lengths[query]
    assert len(polled.answers) == 60
    assert (len(filled) == len(set(filled))) is frozen


@pytest.mark.parametrize("most", [1, 5, 9])
def test_more_payloads_than_are_kept_answer_for_nobody_else(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_payloads, "_MOST", most)
    pool = [frozen_token(query) for query in range(20)]
    run = tokens(POLICIES["LOAD_DVA"])
    run.payload = lambda query_id: pool[query_id * 7 % 20]
    polled = run.pull(arrivals(120))
    assert {q: a["answer"].tolist() for q, a in polled.answers.items()} == {q: [q * 7 % 20, STAGES] for q in range(120)}


def test_a_launch_that_finds_nothing_under_way_tells_nothing_of_the_host() -> None:
    def known_of(arrivals_ns: list[int]) -> tuple[int, int]:
        journal = tokens(POLICIES["NORMAL"]).pull(arrivals_ns).journal
        return sum(map(len, journal.queueing_of_ns(STAGES).values())), len(journal.queueing_ns)

    known, launches = known_of([0] * 40)
    assert known == launches - 1
    assert known_of([number * 200_000_000 for number in range(4)]) == (0, 4)


def test_a_refused_launch_fails_its_own_queries_alone() -> None:
    """Stage 1 refuses batches of exactly three; what stage 0 did for them had come to its end."""

    def refuse(shapes: Mapping[str, tuple[int, ...]]) -> None:
        if next(iter(shapes.values()))[0] == 3:
            raise EngineError("not three")

    polled = tokens(POLICIES["LOAD_DVA"], refuse=refuse).pull([0] * 4 + [10**9] * 3 + [2 * 10**9] * 2)
    assert polled.ended(Outcome.FAILED) != []
    assert polled.journal.reasons == {"not three": len(polled.ended(Outcome.FAILED))}
    assert len(polled.ended(Outcome.COMPLETED)) + len(polled.ended(Outcome.FAILED)) == 9
    assert polled.ended(Outcome.COMPLETED)[-1] == 8


@pytest.mark.parametrize("seed", range(3))
def test_a_payload_that_does_not_fit_fails_its_batch_alone(seed: int) -> None:
    """What was uploaded before it was found out is over before its rows are used again."""

    def payload(query_id: int) -> Mapping[str, Array]:
        row = token_of(query_id)["query"]
        return {"query": row.astype("float32") if query_id % 16 == 7 else row}

    run = tokens(POLICIES["NORMAL"], device=FakeDevice(seed))
    run.payload = payload
    polled = run.pull([0] * 64)
    failed = polled.ended(Outcome.FAILED)
    assert {7, 23, 39, 55} <= set(failed)
    assert len(failed) == 4 * MAX_BATCH
    assert all("'query' is float32" in reason for reason in polled.journal.reasons)
    done = polled.ended(Outcome.COMPLETED)
    assert len(done) + len(failed) == 64
    assert all(polled.answers[query]["answer"].tolist() == [query, STAGES] for query in done)


def test_a_lost_device_fails_what_was_on_it_and_what_comes_after() -> None:
    polled = tokens(POLICIES["LOAD_DVA"], device=FakeDevice(broken_after=40)).pull(arrivals(100))
    failed, rejected = polled.ended(Outcome.FAILED), polled.ended(Outcome.REJECTED)
    done = polled.ended(Outcome.COMPLETED)
    assert failed
    assert len(done) + len(failed) + len(rejected) == 100
    assert set(polled.journal.reasons) == {"device lost: the device fell off the bus"}
    assert all(polled.answers[query]["answer"].tolist() == [query, STAGES] for query in done)


def test_memory_that_is_not_there_fails_queries_with_its_numbers() -> None:
    polled = tokens(POLICIES["NORMAL"], device=FakeDevice(room_bytes=600)).pull([0] * 4)
    assert polled.ended(Outcome.FAILED) == [0, 1, 2, 3]
    assert all("bytes" in reason for reason in polled.journal.reasons)


@pytest.mark.parametrize("policy", ["NORMAL", "LOAD_DVA", "HYBRID_DVA"])
@pytest.mark.parametrize("asked", [0, 1, 7, 40, 80])
def test_a_device_that_fails_when_it_is_asked_for_something_is_lost_as_one_that_fails_at_work(
    policy: str, asked: int
) -> None:
    polled = tokens(POLICIES[policy], device=FakeDevice(deaf_after=asked)).pull(arrivals(100))
    done = polled.ended(Outcome.COMPLETED)
    assert len(done) + len(polled.ended(Outcome.FAILED)) + len(polled.ended(Outcome.REJECTED)) == 100
    assert set(polled.journal.reasons) == {"device lost: the device fell off the bus"}
    assert polled.launcher.lost == "the device fell off the bus"
    assert all(polled.answers[query]["answer"].tolist() == [query, STAGES] for query in done)


@pytest.mark.parametrize("error", [DeviceError("it fell off the bus"), EngineError("4096 bytes, 0 are free")])
def test_rows_that_cannot_be_moved_answer_nobody(error: EngineError) -> None:
    """The first stream of all is the one on which the table moves rows."""
    polled = tokens(Scripted(across_sets), device=FakeDevice(refuses={0: error})).pull([0] * 5)
    assert polled.launcher.lost == f"rows could not be moved: {error}"
    done = polled.ended(Outcome.COMPLETED)
    assert all(polled.answers[query]["answer"].tolist() == [query, STAGES] for query in done)
    assert len(done) < 5


def test_without_room_for_more_graphs_those_kept_so_far_have_to_do() -> None:
    polled = tokens(POLICIES["LOAD_DVA"], device=FakeDevice(most_graphs=3)).pull(arrivals(100))
    assert polled.ended(Outcome.COMPLETED) == list(range(100))
    assert (len(polled.launcher.graphs), polled.launcher.graphs.room) == (3, 3)
    assert polled.launcher.lost is None
    assert all(polled.answers[query]["answer"].tolist() == [query, STAGES] for query in range(100))


def test_a_payload_that_raises_anything_fails_its_batch_alone_and_by_name() -> None:
    def payload(query_id: int) -> Mapping[str, Array]:
        if query_id == 7:
            raise KeyError("no such payload")
        return {"query": token_of(query_id)["query"]}

    run = tokens(POLICIES["NORMAL"])
    run.payload = payload
    polled = run.pull([0] * 64)
    failed = polled.ended(Outcome.FAILED)
    assert 7 in failed
    assert len(failed) == MAX_BATCH
    assert polled.journal.reasons == {"KeyError: 'no such payload'": MAX_BATCH}
    assert len(polled.ended(Outcome.COMPLETED)) == 64 - MAX_BATCH
