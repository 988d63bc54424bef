"""The simulated driver: the same machine as in a real run, on a virtual clock and the profile's device model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from dvabatch.batching.commands import Command, Copy, Deliver, Fail, Forget, Launch, Reject
from dvabatch.batching.errors import LawError, ProfileError
from dvabatch.batching.events import Event, HostPaced, LaunchFailed, LaunchFinished, QueryArrived, TimerFired
from dvabatch.batching.machine import Machine
from dvabatch.batching.profile import Profile
from dvabatch.batching.query import Query
from dvabatch.runtime.crowded_device import CrowdedDevice
from dvabatch.runtime.device_model import ANSWER, FULL, HOST, TRANSFER, DeviceModel, Phases
from dvabatch.runtime.faults import Fate, Faults
from dvabatch.runtime.instants import NEVER
from dvabatch.runtime.journal import Integers, Journal, Outcome
from dvabatch.runtime.trace import Listener
from dvabatch.runtime.watchdog import Watchdog, usual_timeout_ns

_CHUNK = 16_384


class SimulatedDriver:
    """Runs one schedule to its end in virtual time.

    What a launch costs: the host's time first, which takes no device share (`launch_ns` for a fresh batch, `boundary_ns` for
    one that continues, of which others wait for what keeps the host busy; `copy_ns_per_row` for rows that were copied for it,
    `wake_ns` where what it goes to has been at rest), the transfer of a fresh batch's rows, then T of each stage at its share,
    the first one longer for a batch that does not begin its set (`bounced_ns`). A launch queued behind another starts when that
    one ends, at no cost of its own. Where the profile counts `cores`, no more launches run at a time; others wait in the order
    in which they came. One thread that does the host's part of all launches hears of nothing until it is through with those it
    was given: not of arrivals, and not of ends.
    """

    def __init__(
        self,
        machine: Machine,
        listener: Listener | None = None,
        profile: Profile | None = None,
        *,
        timeout_ns: int | None = None,
        faults: Faults | None = None,
        pace: Callable[[int], float] | None = None,
        of_device_alone: bool = False,
        host_pace: float = 1.0,
        clock_pace: Callable[[int], float] | None = None,
    ) -> None:
        """`profile` is what things cost, where that is not what the machine takes them to cost; a launch that starts at an
        instant takes `pace` of it times as long, or, `of_device_alone`, what the device does of it; `clock_pace` says how
        many times as slow the device's clock is then, by which it takes longer as `profile` tells. The machine hears at once
        of the host's pace. A launch is given up after `timeout_ns`; where nobody says, never, or with `faults` after
        `usual_timeout_ns`."""
        self._machine = machine
        self._profile = profile or machine.profile
        self._listener = listener
        self._device: DeviceModel
        self._weigh: Callable[[int, int, int], int]  # of a stage, batch and lane: what the device goes by in a phase
        if self._profile.crowding is None:
            self._device = DeviceModel(self._profile.slowdown, one_host=self._profile.costs.one_host)
            self._weigh = partial(_share, self._profile)
        else:
            self._device = crowded = CrowdedDevice(self._profile)
            self._weigh = crowded.kind
        self._wake_ns = self._profile.costs.wake_ns
        self._phases: dict[tuple[int, int, int, int, bool, bool], Phases] = {}
        self._copying_ns: dict[int, int] = {}  # by target set, until its next launch
        self._queued: dict[int, Launch] = {}  # by the launch that each waits for
        self._cores = self._profile.costs.cores
        self._waiting: deque[Launch] = deque()  # for a core
        self._pace = pace
        self._of_device_alone = of_device_alone
        self._clock_pace = clock_pace
        self._ended = 0  # queries, however that went
        self._rested = False  # the one thread, until this call
        self._news: list[Event] = [] if host_pace == 1.0 else [HostPaced(max(1, round(100 * host_pace)))]
        self._faults = faults
        if timeout_ns is None and faults is not None:
            timeout_ns = usual_timeout_ns(machine.profile, machine.limits.max_batch)
        self._watchdog = None if timeout_ns is None else Watchdog(timeout_ns)
        self._struck: dict[int, Fate] = {}  # under way, and will not end well

    @property
    def given_up(self) -> int:
        """How many launches did not end in time."""
        return 0 if self._watchdog is None else self._watchdog.given_up

    def run(
        self,
        arrivals_ns: Integers,
        lengths: Integers | None = None,
        deadline_ns: int | None = None,
        max_concurrency: int | None = None,
    ) -> Journal:
        """Arrivals rise, from 0; `deadline_ns` counts from each query's arrival. Any sequence of integers serves.

        While `max_concurrency` queries are under way, further ones are held back; the journal has their later admission.
        """
        held_back, most = max_concurrency is not None, NEVER if max_concurrency is None else max_concurrency
        watchdog = self._watchdog
        self._ended = 0
        machine, device = self._machine, self._device
        journal = self._journal = Journal(len(arrivals_ns), lengths)
        journal.arrived_on_time(arrivals_ns)
        upcoming = _queries(arrivals_ns, lengths, deadline_ns)
        query = next(upcoming, None)
        now_ns = 0
        ended: list[int] = []  # launches that the host has not heard of yet
        bound, released_ns = False, 0  # whether `max_concurrency` stands in the way, and until when it did
        while True:
            free_ns = device.host_free_ns
            # Ids count up from 0, so that as many as the next one's have come.
            was_bound, bound = bound, held_back and query is not None and query.id - self._ended >= most
            if was_bound and not bound:
                released_ns = now_ns
            arrival_ns = NEVER if query is None or bound else max(query.arrival_ns, now_ns)  # one held back is due now
            wake_ns = NEVER if machine.wake_ns is None else machine.wake_ns
            device_ns = device.next_ns
            heard_ns = arrival_ns if arrival_ns < wake_ns else wake_ns
            if watchdog is not None:
                heard_ns = min(heard_ns, watchdog.next_ns)
            if self._faults is not None:
                heard_ns = min(heard_ns, self._faults.next_ns)
            heard_ns = max(heard_ns, free_ns)
            now_ns = heard_ns if heard_ns < device_ns else device_ns
            if now_ns == NEVER or (query is None and machine.idle):
                break
            if device_ns == now_ns:
                for launch_id in device.advance(now_ns):
                    ended.append(launch_id)
                    if self._queued and launch_id in self._queued and not self._hangs(launch_id):
                        self._start(self._queued.pop(launch_id), now_ns, queued=True)
                while self._waiting and device.under_way < self._cores:
                    self._start(self._waiting.popleft(), now_ns)
            if now_ns < device.host_free_ns:
                continue  # the one thread hears of it when it is through with what it does
            events: list[Event] = []
            for launch_id in ended:
                fate = self._struck.pop(launch_id, None) if self._struck else None
                if fate is None:
                    events.append(LaunchFinished(launch_id))
                elif not fate.hangs:
                    events.append(LaunchFailed(launch_id, fate.reason))
            ended.clear()
            self._rested = not events and now_ns > free_ns
            while query is not None and query.arrival_ns <= now_ns and query.id - self._ended < most:
                if query.arrival_ns < released_ns:
                    journal.admitted_ns[query.id] = now_ns
                    journal.held.append(query.id)
                events.append(QueryArrived(query))
                query = next(upcoming, None)
            if wake_ns <= now_ns:
                events.append(TimerFired())
            if watchdog is not None:
                self._befall(watchdog, events, now_ns)
            if not events:
                continue  # a launch went from one stage to the next
            if self._news:
                events += self._news
                self._news = []
            commands = machine.handle(events, now_ns)
            if self._listener is not None:
                self._listener.record(now_ns, events, commands)
            for command in commands:
                self._carry_out(command, now_ns)
            if watchdog is not None and not machine.ledger.launches:  # as after a lost device: nothing of it will end
                watchdog.forget_all()
                self._queued.clear()
                self._waiting.clear()
        self._check_end(len(arrivals_ns))
        journal.busy_ns = device.busy_ns
        journal.span_ns = max(journal.done_ns, default=0)
        return journal

    def _check_end(self, queries: int) -> None:
        """Every query has ended.

        Raises:
            ProfileError: the table's times go on for longer than the clock does.
            LawError: nothing is to come and some wait: a defect of the machine or its policy.
        """
        left = queries - self._ended
        if left and self._machine.ledger.launches:
            raise ProfileError(
                f"{self._profile.name}: the run goes on past 146 simulated years, with {left} of {queries} queries to come: "
                "give times in milliseconds, or fewer queries"
            )
        if left:
            raise LawError(f"{left} of {queries} queries have not ended, and nothing is to come")

    def _carry_out(self, command: Command, now_ns: int) -> None:
        journal = self._journal
        if type(command) is Launch:
            journal.launched(command)
            if self._watchdog is not None:
                self._watchdog.started(command, now_ns)
            if self._faults is not None:
                self._faults.strike(command, now_ns)
            if command.after is not None:
                self._queued[command.after] = command
            elif self._cores and self._device.under_way >= self._cores:
                self._waiting.append(command)
            else:
                self._start(command, now_ns)
        elif type(command) is Deliver:
            journal.completed(command.query_ids, now_ns)
            self._ended += len(command.query_ids)
        elif type(command) is Copy:
            target, rows = command.target.buffer_set, command.source.rows
            self._copying_ns[target] = self._copying_ns.get(target, 0) + rows * self._profile.costs.copy_ns_per_row
        elif type(command) is Reject:
            journal.because(command.reason)
            journal.ended(command.query_id, Outcome.REJECTED, now_ns)
            self._ended += 1
        elif type(command) is Fail:
            journal.because(command.reason, len(command.query_ids))
            for query_id in command.query_ids:
                journal.ended(query_id, Outcome.FAILED, now_ns)
            self._ended += len(command.query_ids)
        elif type(command) is Forget:
            journal.because("cancelled")
            journal.ended(command.query_id, Outcome.CANCELLED, now_ns)
            self._ended += 1

    def _befall(self, watchdog: Watchdog, events: list[Event], now_ns: int) -> None:
        """Adds what goes wrong: on purpose, and launches that do not end."""
        if self._faults is not None:
            meet = self._faults.meet
            events[:] = [QueryArrived(meet(event.query)) if type(event) is QueryArrived else event for event in events]
            events.extend(self._faults.due(now_ns))
        for event in events:
            if isinstance(event, (LaunchFinished, LaunchFailed)):
                watchdog.ended(event.launch_id, now_ns)
        gone = watchdog.overdue(now_ns)
        for launch in gone:
            watchdog.give_up(launch)
            self._queued.pop(launch.id, None)
            if launch in self._waiting:
                self._waiting.remove(launch)
        events.extend(watchdog.losses(gone, self._machine.ledger.executors))

    def _start(self, launch: Launch, now_ns: int, *, queued: bool = False) -> None:
        begins = launch.place.first_row == 0
        key = launch.first_stage, launch.last_stage, len(launch.query_ids), launch.lane, queued, begins
        phases = self._phases.get(key)
        if phases is None:
            phases = self._phases[key] = self._work(*key)
        if self._faults is not None and (fate := self._faults.take(launch.id)) is not None:
            phases = self._work(*key, fate)
            if fate.ends_at is not None:
                self._struck[launch.id] = fate
                if fate.hangs and fate.ends_at == launch.first_stage:
                    return  # the device never sees it
        first_ns = self._copying_ns.pop(launch.place.buffer_set, 0) if self._copying_ns else 0
        if self._wake_ns and not queued and self._finds_rest(launch, now_ns):
            first_ns += self._wake_ns
        if first_ns:
            phases = _after(first_ns, phases)
        if self._pace is not None:
            phases = _slowed(phases, self._pace(now_ns), of_device_alone=self._of_device_alone)
        if self._clock_pace is not None:
            slower = self._profile.slower_at(self._clock_pace(now_ns), len(launch.query_ids))
            phases = _slowed(phases, slower, of_device_alone=True)
        self._device.start(launch.id, phases, now_ns)

    def _hangs(self, launch_id: int) -> bool:
        fate = self._struck.get(launch_id)
        return fate is not None and fate.hangs

    def _finds_rest(self, launch: Launch, now_ns: int) -> bool:
        """Whether what a launch goes to has been at rest: the one thread, for the first launch of a call that it was not busy
        until, and that brings no news of an end; or else a part of the device."""
        if self._profile.costs.one_host:
            rested, self._rested = self._rested, False
            return rested
        at_once = self._profile.at_once(launch.first_stage, len(launch.query_ids), launch.lane)
        return self._device.finds_idle(at_once, now_ns)

    def _work(
        self, first: int, last: int, batch: int, lane: int, queued: bool, begins: bool, fate: Fate | None = None
    ) -> Phases:
        """What the host does, unless the launch was queued, and the device; neighbours of equal share are one phase.

        `begins` says whether the batch begins its buffer set.
        """
        if fate is not None and fate.ends_at is not None:
            last = fate.ends_at - 1 if fate.hangs else fate.ends_at
        profile = self._profile
        phases: list[tuple[int, int]] = []
        if not queued:
            host_ns, transfer_ns = profile.costs.host_ns(first, batch), profile.costs.transfer_ns(first, batch)
            busy_ns = profile.costs.busy_ns(first, batch)
            if host_ns or profile.costs.one_host:  # also one that costs it nothing comes when the host is free
                phases.append((busy_ns, HOST))
            if host_ns > busy_ns:
                phases.append((host_ns - busy_ns, ANSWER))
            if transfer_ns:
                phases.append((transfer_ns, TRANSFER))
        for stage in range(first, last + 1):
            work_ns = profile.stage_ns(stage, batch, lane)
            if fate is not None:
                work_ns = round(work_ns * fate.factor(stage))
            if stage == first:
                work_ns += profile.costs.bounced_ns(not begins, batch)
            weight = self._weigh(stage, batch, lane)
            if phases and phases[-1][1] == weight:
                work_ns += phases.pop()[0]
            phases.append((work_ns, weight))
        return tuple(phases)


def _share(profile: Profile, stage: int, batch: int, lane: int) -> int:
    """Of the device, in parts of `FULL`."""
    return max(1, round(profile.share(stage, batch, lane) * FULL))


def _slowed(phases: Phases, factor: float, *, of_device_alone: bool) -> Phases:
    """Each phase takes `factor` times as long, or those on the device do."""
    return tuple([(work if of_device_alone and kind <= 0 else round(factor * work), kind) for work, kind in phases])


def _after(host_ns: int, phases: Phases) -> Phases:
    """With more for the host to do first: all that it does for a launch is one phase, which no other launch comes between."""
    if phases[0][1] == HOST:
        return ((phases[0][0] + host_ns, HOST), *phases[1:])
    return ((host_ns, HOST), *phases)


def _queries(arrivals_ns: Integers, lengths: Integers | None, deadline_ns: int | None) -> Iterator[Query]:
    """Queries one by one, read from the arrays in chunks: plain integers are faster than array elements."""
    for start in range(0, len(arrivals_ns), _CHUNK):
        instants = np.asarray(arrivals_ns[start : start + _CHUNK]).tolist()
        own = [None] * len(instants) if lengths is None else np.asarray(lengths[start : start + _CHUNK]).tolist()
        for offset, (arrival_ns, length) in enumerate(zip(instants, own, strict=True)):
            deadline = None if deadline_ns is None else arrival_ns + deadline_ns
            yield Query(start + offset, arrival_ns, length, deadline)
