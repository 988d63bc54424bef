"""What the original runtime did wrong, one test a defect: this machine does not repeat it.

Not here, since they are no machine's: threads that never select their device, buffers freed before threads are joined (the
drivers' tests), thresholds that never adapt (relative thresholds are the config's).
"""

from __future__ import annotations

import pytest

from dvabatch.batching.commands import Deliver, Fail, Launch
from dvabatch.batching.errors import OperationError
from dvabatch.batching.events import LaunchFailed, LaunchFinished, QueryCancelled
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.operations import Advance, Hold, New, Split, Stretch
from dvabatch.batching.place import Place
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, LoadDva, Normal, NormalInput, OperatorDva
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.runtime.journal import StageWork
from dvabatch.runtime.simulated import SimulatedDriver
from tests.batching.scripted import Stage
from tests.batching.timeline import MS, flat, play
from tests.laws.driver import LawDriver
from tests.laws.scenario import Scenario

LIMITS = Limits(4, 6, 4, 3)


@pytest.mark.parametrize(
    "policy",
    [
        LoadDva(CatchingUp(6, 6, 3, None)),
        OperatorDva(FillOrWait(6, 0, 4), Favoring((4, 2, 6, 1))),
        HybridDva(CatchingUp(6, 6, 3, None), Favoring((6, 2, 6, 1))),
    ],
    ids=lambda policy: str(type(policy).__name__),
)
def test_row_offsets_are_never_applied(policy: Policy) -> None:
    """A stretched or split batch computed the wrong rows: here every row is followed from stage to stage."""
    arrivals = [0, 0, 0, 1, 1, 2, 2, 2, 5, 5, 5, 5, 6]
    queries = tuple(Query(i, ms * MS // 2) for i, ms in enumerate(arrivals))
    driver = LawDriver(Machine(LIMITS, flat(4), policy, debug=True), Scenario(LIMITS, flat(4), queries))
    books = driver.run()
    assert set(books.ended.values()) == {"delivered"}
    assert max(books.first_rows) > 0


def test_requests_are_lost_after_a_split() -> None:
    """Both parts and all their members go on."""
    line = play(Limits(2, 6, 2, 6), flat(2), OperatorDva(FillOrWait(6, 0, 2), Favoring((6, 1))), [0] * 6)
    assert line.operations["split"] == 1
    assert set(line.done_ms) == set(range(6))


def test_the_next_arrival_is_never_queued_after_a_split() -> None:
    """Who comes while the parts are on their way is served like anybody else."""
    line = play(Limits(2, 2, 2, 2), flat(2), OperatorDva(FillOrWait(2, 0, 2), Favoring((2, 1))), [0, 0, 1.5, 9])
    assert set(line.done_ms) == {0, 1, 2, 3}


def test_use_after_free_in_split() -> None:
    """The batch that was split is gone for good, its rows are its parts'."""
    stage = Stage(queries=4)
    stage.do(New(0, (0, 1, 2, 3)), Split(0, (3, 1)))
    for operation in (Advance(0, 0), Split(0, (2, 2)), Stretch(0, (0,))):
        with pytest.raises(OperationError, match="batch 0 is not live"):
            stage.do(operation)
    assert [batch.place for batch in stage.machine.ledger.batches] == [Place(0, 0, 3), Place(0, 3, 1)]
    assert stage.machine.ledger.free_sets == 1


def test_out_of_bounds_at_the_last_stage() -> None:
    """Behind the last stage there is no boundary to stop at, to stretch to, or to launch from; at the last one there is."""
    stage = Stage(stages=2, queries=4)
    stage.do(New(0, (0, 1)), Advance(0, 0))
    stage.call([LaunchFinished(0)])
    with pytest.raises(OperationError, match="stands before stage 1 of 2"):
        stage.do(Advance(0, 2))
    stage.do(Split(0, (1, 1)), Advance(1, 1), Advance(2, 1))
    with pytest.raises(OperationError, match="no boundary any more"):
        stage.do(Stretch(2, (2,)))
    assert stage.call([LaunchFinished(1), LaunchFinished(2)]) == [Deliver((0,)), Deliver((1,))]


def test_microseconds_are_compared_with_nanoseconds() -> None:
    """A limit of 2 ms lets a batch of 1.9 ms take company and one of 2.1 ms not: a factor of 1,000 would show on both sides."""
    limits, profile = Limits(4, 4, 4, 4), flat(4)
    policy = LoadDva(CatchingUp(4, 4, 3, 2 * MS))
    assert play(limits, profile, policy, [0, 1.9]).operations["stretch"] == 1
    assert play(limits, profile, policy, [0, 2.1]).operations["stretch"] == 0
    waits = play(limits, profile, Normal(FillOrWait(4, 2 * MS, 1)), [0])
    assert waits.launches[0].at_ms == 2


@pytest.mark.parametrize("largest", [2, 3, 6])
def test_less_than_where_less_or_equal_is_meant(largest: int) -> None:
    """A merged batch reaches the maximum itself."""
    line = play(LIMITS, flat(4), LoadDva(CatchingUp(6, largest, 3, None)), [0] + [0.5] * 9)
    assert max(len(run.ids) for run in line.launches if run.batch == 0) == largest


@pytest.mark.parametrize(("size", "launches"), [(2, 1), (3, 2), (4, 2), (5, 3)])
def test_a_fixed_factor_of_2_on_favoured_sizes(size: int, launches: int) -> None:
    """Split as soon as the size favoured is passed, not at twice that."""
    policy = OperatorDva(FillOrWait(6, 0, 1), Favoring((6, 2)))
    line = play(Limits(2, 6, 1, 3), flat(2), policy, [0] * size)
    assert sum(run.last == 1 for run in line.launches) == launches


@pytest.mark.parametrize("at", [0, 1, 2])
def test_split_only_in_two_never_in_the_first_or_last_stage(at: int) -> None:
    """In as many parts as the stage wants, at any stage."""
    sizes = tuple(2 if stage == at else 6 for stage in range(3))
    line = play(Limits(3, 6, 1, 3), flat(3), OperatorDva(FillOrWait(6, 0, 1), Favoring(sizes)), [0] * 6)
    assert [run.ids for run in line.launches if run.first <= at <= run.last] == [(0, 1), (2, 3), (4, 5)]


def test_a_length_above_the_largest_bucket_becomes_length_0() -> None:
    """It is rejected alone, with both lengths named; the others go on."""
    limits, profile = Limits(1, 4, lanes=(8, 16)), flat(1, lanes={8: 1, 16: 2})
    line = play(limits, profile, Normal(FillOrWait(4, 0, 4)), [0, 0, 0], [17, 16, 8])
    assert line.rejected == {0: "length 17 above 16; lanes are [8, 16]"}
    assert set(line.done_ms) == {1, 2}


def test_buckets_must_be_sorted_by_hand() -> None:
    """A table's are sorted by us; limits that do not rise are refused, not believed."""
    lane = {"stages": [{"latency_ms": {"1": 1}}]}
    assert Profile.from_table({"lanes": {"128": lane, "32": lane, "64": lane}}).lanes == (32, 64, 128)
    with pytest.raises(ValueError, match="rising lengths"):
        Limits(1, 1, lanes=(128, 32, 64))


def test_no_padding_to_the_bucket() -> None:
    """A batch runs, and costs, in the lane of its longest member, at a batch size that exists."""
    stage = {"latency_ms": {"1": 1, "4": 4}}
    lanes = {"8": {"stages": [stage]}, "16": {"stages": [{"latency_ms": {"1": 10, "4": 40}}]}}
    profile = Profile.from_table({"lanes": lanes, "batch_sizes": [1, 4]})
    policy = NormalInput(FillOrWait(4, 0, 1, mixed=True))
    line = play(Limits(1, 4, lanes=(8, 16)), profile, policy, [0, 0], [5, 11])
    assert [(run.lane, run.ids) for run in line.launches] == [(1, (0, 1))]
    assert line.done_ms == {0: 40, 1: 40}


def test_ring_slots_are_reused_with_no_check() -> None:
    """A set is free when all in it have ended, whatever the order, and not before."""
    stage = Stage(queries=4, buffer_sets=1)
    stage.do(New(0, (0, 1)), Split(0, (1, 1)), Advance(1, 2), Advance(2, 0))
    stage.call([LaunchFinished(0)])
    with pytest.raises(OperationError, match="no buffer set is free"):
        stage.do(New(0, (2,)))
    stage.call([LaunchFinished(1)], Advance(2, 2))
    stage.call([LaunchFinished(2)], New(0, (2,)))
    assert stage.machine.ledger.batch(3).place == Place(0, 0, 1)


def test_buffers_are_given_back_at_enqueue_instead_of_completion() -> None:
    """Rows and executors stay taken until the launch has ended, though nobody wants its answer any more."""
    stage = Stage(queries=1, executors=1, buffer_sets=1)
    stage.do(New(0, (0,)), Advance(0, 2))
    stage.call([QueryCancelled(0)])
    ledger = stage.machine.ledger
    assert (ledger.free_sets, [ledger.idle[stage_] for stage_ in range(3)]) == (0, [0, 0, 0])
    stage.call([LaunchFinished(0)])
    assert (ledger.free_sets, [ledger.idle[stage_] for stage_ in range(3)]) == (1, [1, 1, 1])


def test_one_event_per_buffer_set_is_shared_by_both_halves() -> None:
    """Each part's launch ends by itself."""
    stage = Stage(queries=2)
    stage.do(New(0, (0, 1)), Split(0, (1, 1)), Advance(1, 2), Advance(2, 2))
    assert stage.call([LaunchFinished(1)]) == [Deliver((1,))]
    assert [batch.id for batch in stage.machine.ledger.batches] == [1]
    assert stage.call([LaunchFinished(0)]) == [Deliver((0,))]


def test_errors_end_a_thread_silently() -> None:
    """A failed launch is said, with its reason, to those whom it hit; the next one runs on the same executor."""
    stage = Stage(queries=2, executors=1, buffer_sets=1)
    stage.do(New(0, (0,)), Advance(0, 2))
    commands = stage.call([LaunchFailed(0, "device out of memory")], New(0, (1,)), Advance(1, 2))
    assert commands[0] == Fail((0,), "device out of memory")
    assert isinstance(commands[1], Launch)
    assert stage.call([LaunchFinished(1)]) == [Deliver((1,))]


def test_latency_is_cut_to_whole_milliseconds() -> None:
    """Every instant is an integer of nanoseconds, from arrival to answer."""
    profile = Profile.from_table({"stages": [{"latency_ms": {"1": 1.234567}}]})
    machine = Machine(Limits(1, 1), profile, Normal(FillOrWait(1, 0, 1)))
    journal = SimulatedDriver(machine).run([17, 5_000_003])
    assert [a - b for a, b in zip(journal.done_ns, journal.arrival_ns, strict=True)] == [1_234_567, 1_234_567]


def test_a_request_is_counted_as_batch_1_whatever_its_size() -> None:
    """A request of five rows is five queries, and each counts in every stage that it passes."""
    machine = Machine(LIMITS, flat(4), LoadDva(CatchingUp(6, 6, 3, None)))
    journal = SimulatedDriver(machine).run([0] * 5)
    assert journal.stages(flat(4)) == [StageWork({5: 1}, 5.0, 5.0)] * 4


def test_a_held_batch_waits_however_much_it_costs() -> None:
    """It waits for one tail, which is on its way, and never for a second: the stretches of one head are bounded by its age."""
    limits = Limits(4, 64, 8, 4)
    arrivals = [0.0] + [0.3 + 0.25 * i for i in range(40)]
    policy = LoadDva(CatchingUp(64, 64, 3, 1 * MS))
    line = play(limits, flat(4, most=64), policy, arrivals)
    alone = 4  # ms
    assert line.done_ms[0] <= alone + 1 + 1  # a tail may come until 1 ms, and takes 1 ms to the boundary at 1 or 2


def test_a_hold_without_a_tail_behind_is_refused() -> None:
    """Nobody waits for who is not behind, or does not live."""
    stage = Stage(queries=2)
    stage.do(New(0, (0,)), New(0, (1,)), Advance(0, 0), Advance(1, 0))
    stage.call([LaunchFinished(0), LaunchFinished(1)])
    with pytest.raises(OperationError, match="still behind"):
        stage.do(Hold(0, 1))
