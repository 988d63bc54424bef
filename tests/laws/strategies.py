"""What Hypothesis draws: limits, tables, policies with legal options, and all that can befall a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Policy
from dvabatch.batching.policies.auto import Auto, Setting
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva, InputDva, LoadDva, Normal, NormalInput, OperatorDva
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from tests.laws.random_policy import RandomPolicy
from tests.laws.scenario import TICK_NS, Scenario

MakePolicy = Callable[[], Policy]


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    lanes: tuple[int | None, ...] = draw(st.sampled_from([(None,), (None,), (8,), (4, 8), (2, 4, 8)]))
    return Limits(
        stages=draw(st.integers(1, 4)),
        max_batch=draw(st.integers(1, 6)),
        buffer_sets=draw(st.integers(1, 4)),
        executors_per_stage=draw(st.integers(1, 3)),
        lanes=lanes,
        max_queue=draw(st.sampled_from([None, None, None, 3])),
        drop_late=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def profiles(draw: st.DrawFn, of: Limits) -> Profile:
    """Whole milliseconds at each batch size, in any shape, so that launches often end together."""

    share = draw(st.sampled_from([0.2, 0.5, 0.5, 1.0]))

    def lane() -> dict[str, Any]:
        times = st.lists(st.integers(1, 4), min_size=of.max_batch, max_size=of.max_batch)
        return {
            "stages": [
                {"latency_ms": {str(b): ms for b, ms in enumerate(draw(times), 1)}, "share": {"1": share}}
                for _ in range(of.stages)
            ]
        }

    if of.lanes == (None,):
        return Profile.from_table({"name": "drawn", **lane()})
    return Profile.from_table({"name": "drawn", "lanes": {str(length): lane() for length in of.lanes}})


def entries(of: Limits, *, mixed: bool = False) -> st.SearchStrategy[FillOrWait]:
    return st.builds(
        FillOrWait,
        st.integers(1, of.max_batch),
        st.sampled_from([0, 1, TICK_NS, 3 * TICK_NS]),
        st.integers(1, of.buffer_sets),
        st.just(mixed),
    )


def catching_ups(of: Limits) -> st.SearchStrategy[CatchingUp]:
    return st.builds(
        CatchingUp,
        st.integers(1, of.max_batch),
        st.integers(1, of.max_batch),
        st.integers(0, of.stages),
        st.sampled_from([None, None, 0, TICK_NS, 5 * TICK_NS]),
    )


def favorings(of: Limits) -> st.SearchStrategy[Favoring]:
    sizes = st.lists(st.integers(1, of.max_batch), min_size=of.stages, max_size=of.stages)
    return st.builds(Favoring, sizes.map(tuple))


def settings(of: Limits) -> st.SearchStrategy[Setting]:
    entry = st.booleans().flatmap(lambda mixed: entries(of, mixed=mixed))
    return st.builds(Setting, st.just(0.0), entry, st.booleans(), st.booleans())


def _auto(settings: list[Setting]) -> Auto:
    """Each serves for a little more load than the one before."""
    return Auto(tuple(replace(setting, up_to=0.3 * number) for number, setting in enumerate(settings, 1)))


def _made(kind: Callable[..., Policy], *options: object) -> MakePolicy:
    return lambda: kind(*options)


def policies(name: str, of: Limits) -> st.SearchStrategy[MakePolicy]:
    """Makers, since a replay needs a fresh one."""
    if name == "RANDOM":
        return st.integers(0, 2**32).map(lambda seed: _made(RandomPolicy, seed))
    if name in {"NORMAL", "NORMAL_INPUT", "INPUT_DVA"}:
        kinds: dict[str, Callable[..., Policy]] = {"NORMAL": Normal, "NORMAL_INPUT": NormalInput, "INPUT_DVA": InputDva}
        kind = kinds[name]
        return entries(of, mixed=name == "NORMAL_INPUT").map(lambda entry: _made(kind, entry))
    if name == "LOAD_DVA":
        return catching_ups(of).map(lambda catching_up: _made(LoadDva, catching_up))
    if name == "OPERATOR_DVA":
        return st.tuples(entries(of), favorings(of)).map(lambda options: _made(OperatorDva, *options))
    if name == "AUTO":
        return st.lists(settings(of), min_size=1, max_size=3).map(lambda found: _made(_auto, found))
    return st.tuples(catching_ups(of), favorings(of)).map(lambda options: _made(HybridDva, *options))


POLICIES = ("NORMAL", "NORMAL_INPUT", "LOAD_DVA", "INPUT_DVA", "OPERATOR_DVA", "HYBRID_DVA", "AUTO", "RANDOM")


@st.composite
def arrivals(draw: st.DrawFn, of: Limits) -> tuple[Query, ...]:
    """Up to 30 queries: bursts in one instant, gaps on and off the grid of ticks, lengths past the largest lane, deadlines."""
    steps = st.sampled_from([0, 0, 0, 1, TICK_NS // 3, TICK_NS, 2 * TICK_NS, 9 * TICK_NS])
    at_least = draw(st.sampled_from([0, 1, 12, 24]))  # else most lists that Hypothesis draws are short
    gaps = draw(st.lists(steps, min_size=at_least, max_size=30))
    lengths = st.just(None) if of.lanes == (None,) else st.sampled_from([None, 1, 2, 3, 4, 6, 8, 9])
    patience = st.sampled_from([None, None, None, 0, TICK_NS, 4 * TICK_NS])
    now_ns, queries = 0, []
    for number, gap in enumerate(gaps):
        now_ns += gap
        wait_ns = draw(patience)
        queries.append(Query(number, now_ns, draw(lengths), None if wait_ns is None else now_ns + wait_ns))
    return tuple(queries)


@st.composite
def scenarios(draw: st.DrawFn, *, faults: bool = True) -> Scenario:
    of = draw(limits())
    queries = draw(arrivals(of))
    instants = st.integers(0, 40).map(lambda ticks: ticks * TICK_NS)
    quiet = Scenario(
        of,
        draw(profiles(of)),
        queries,
        jitter=draw(st.sampled_from([0, 0, 1, 3])),
        shuffle_seed=draw(st.sampled_from([None, 1, 2])),
        one_by_one=draw(st.booleans()),
        stale_timers=tuple(draw(st.lists(instants, max_size=3))),
        host_paces=tuple(draw(st.lists(st.tuples(instants, st.integers(1, 800)), max_size=2))),
    )
    if not faults:
        return quiet
    cancels = st.tuples(instants, st.integers(0, max(len(queries) - 1, 0)))
    # One index more than there are at first: a successor may be lost as well.
    losses = st.tuples(instants, st.integers(0, of.stages - 1), st.integers(0, of.executors_per_stage))
    return Scenario(
        of,
        quiet.profile,
        queries,
        cancels=tuple(draw(st.lists(cancels, max_size=6))) if queries else (),
        losses=tuple(draw(st.lists(losses, max_size=4))),
        successors=draw(st.booleans()),
        device_lost_ns=draw(st.one_of(st.none(), st.none(), st.none(), instants)),
        fail_every=draw(st.sampled_from([0, 0, 2, 3, 7])),
        late_every=draw(st.sampled_from([0, 1, 2])),
        stale_timers=quiet.stale_timers,
        host_paces=quiet.host_paces,
        jitter=quiet.jitter,
        shuffle_seed=quiet.shuffle_seed,
        one_by_one=quiet.one_by_one,
    )
