"""Recorded traces, damaged at random: whatever reads one takes it, or refuses it in one message."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from dvabatch.batching.history import History
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.favoring import Favoring
from dvabatch.batching.policies.policy import HybridDva
from dvabatch.batching.profile import Profile
from dvabatch.reporting.account import Accounts
from dvabatch.reporting.batches_over_time import launches_of
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.timeline import Timeline
from dvabatch.runtime.faults import Cancelling, Failing, Faults, Hanging
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.trace import Recorder, TraceError, read_profile, retrace
from tests.fuzz.damage import damage_values, damaged_bytes

QUERIES = 25
LIMITS = Limits(2, 4, buffer_sets=4, executors_per_stage=2, max_queue=6)
POLICY = HybridDva(CatchingUp(4, 4, 1, None), Favoring((2, 4)))
HUGE = st.sampled_from([-1, 0, 2**63, 10**300, 10**4000, 1.5, True, None, "7", [], {}])


@dataclass(frozen=True, slots=True)
class Recorded:
    profile: Profile
    lines: tuple[str, ...]


@cache
def recorded() -> Recorded:
    """A run with stretches, a failure, a launch that is given up, cancellations and a full queue."""
    profile = Profile.from_table({"stages": [{"latency_ms": {"1": 0.2, "4": 0.4}, "share": {"1": 0.4, "4": 0.9}}] * 2})
    machine, sink = Machine(LIMITS, profile, POLICY, debug=True), io.StringIO()
    faults = Faults([Failing(1, launch=3), Hanging(0, launch=5), Cancelling(0.2, 100_000)], seed=1)
    driver = SimulatedDriver(machine, Recorder(machine, sink), timeout_ns=2_000_000, faults=faults)
    driver.run([50_000 * number for number in range(QUERIES)])
    return Recorded(profile, tuple(sink.getvalue().splitlines(keepends=True)))


def read_all(lines: tuple[str, ...]) -> None:
    """As `dvabatch trace` and `explain` do."""
    read_profile(lines[0] if lines else "")
    history = History(LIMITS, recorded().profile, POLICY)
    accounts = Accounts(recorded().profile, range(QUERIES), lambda _: None)
    timeline = Timeline(LIMITS, recorded().profile)

    def followed() -> object:
        for step in retrace(lines, history):
            accounts.follow(step)
            yield step

    for event in timeline.events(followed()):  # type: ignore[arg-type]
        json.dumps(event)


def refused_or_read(read: Callable[[tuple[str, ...]], object], lines: tuple[str, ...]) -> bool:
    try:
        read(lines)
    except (TraceError, ReportError) as error:
        assert str(error)
        return False
    return True


def test_what_was_recorded_is_read() -> None:
    assert refused_or_read(read_all, recorded().lines)
    assert refused_or_read(launches_of, recorded().lines)
    text = "".join(recorded().lines)
    assert all(name in text for name in ("ExecutorLost", "LaunchFailed", "QueryCancelled", "Reject"))


@given(st.data())
@settings(max_examples=200)
def test_damaged_bytes(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(recorded().lines) - 1))
    damaged = data.draw(damaged_bytes(recorded().lines[number].encode())).decode(errors="replace")
    check(number, damaged)


@given(st.data())
@settings(max_examples=200)
def test_other_values(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(recorded().lines) - 1))
    call = json.loads(recorded().lines[number])
    if number and data.draw(st.booleans()):
        place = data.draw(st.sampled_from(["now_ns", "event", "command"]))
        if place == "now_ns" or not call[f"{place}s"]:
            call["now_ns"] = data.draw(HUGE)
        else:
            fact = data.draw(st.sampled_from(call[f"{place}s"]))
            at = data.draw(st.integers(0, len(fact) - 1))
            if isinstance(fact[at], list) and fact[at] and data.draw(st.booleans()):
                fact, at = fact[at], 1 if len(fact[at]) > 1 else 0
            fact[at] = data.draw(HUGE)
    else:
        damage_values(call, data)
    check(number, json.dumps(call, separators=(",", ":")) + "\n")


@given(st.data())
@settings(max_examples=60)
def test_lines_that_are_lost_doubled_or_moved(data: st.DataObject) -> None:
    lines = list(recorded().lines)
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines.pop(number)
    for _ in range(data.draw(st.integers(0, 2))):
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    read = refused_or_read(read_all, tuple(lines))
    assert read or tuple(lines) != recorded().lines
    refused_or_read(launches_of, tuple(lines))


def check(number: int, line: str) -> None:
    """Other events may have happened; the same events with other commands, or said in other words, may not."""
    lines = list(recorded().lines)
    before, lines[number] = lines[number], line
    read = refused_or_read(read_all, tuple(lines))
    if line == before or facts(line) == facts(before):
        assert read == (line == before)
    refused_or_read(launches_of, tuple(lines))


def facts(line: str) -> object:
    """What a line says apart from its commands; the line itself where it says nothing."""
    try:
        call = json.loads(line)
        return {name: call[name] for name in call if name != "commands"}
    except (ValueError, TypeError, RecursionError):
        return line
