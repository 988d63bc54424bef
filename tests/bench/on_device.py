"""What the runtime costs on a GPU: one query through it while it is idle, and all that it can take, against the bare engines.

Both sides of the idle figure bring the input to the device and the answer back. On a machine without a GPU there is nothing to
measure, and it is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from statistics import median

import numpy as np

from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.place import Place
from dvabatch.batching.policies.catching_up import CatchingUp
from dvabatch.batching.policies.entry import FillOrWait
from dvabatch.batching.policies.policy import LoadDva, Normal
from dvabatch.batching.profile import NS_PER_MS, NS_PER_US
from dvabatch.runtime.arrivals import PullArrivals
from dvabatch.runtime.journal import Journal
from dvabatch.runtime.observers import JournalObserver
from dvabatch.runtime.polling import PollingDriver
from dvabatch.runtime.simulated import SimulatedDriver
from dvabatch.runtime.warming import warmed
from dvabatch_cli.config import load_config
from dvabatch_cli.gpu import PreparedGpu, backend_of, open_launcher
from dvabatch_cli.ground import Ground, lay_ground
from dvabatch_cli.rows import PooledRows
from dvabatch_cli.sites import undisturbed
from dvabatch_cli.wiring import limits_of
from dvabatch_cli.workspace import examples_of
from engines.base import Array
from engines.cuda import CudaDevice
from engines.errors import BackendMissingError
from tests.bench.figure import Benchmark, Figure, Scale

IDLE_TARGET = 1.15
TAX_TARGET = 1.05
BUSY_TARGET = 0.95
THROUGHPUT_TARGET = 0.95
HOST_TARGET = 1.2
FIRST_TARGET = 1.5
_BEYOND = 16  # times what the whole engine serves: more than any host is known to take
_GAP_NS = 3_000_000
_NS_PER_S = 1e9
# A network that the device runs in next to no time, with the inputs of the large one: what is left is the host.
_LIGHT = ("model.network=tiny_resnet", "name=light", "engine.builder_optimization_level=0")


def run(scale: Scale) -> Iterator[Figure]:
    try:
        backend_of("tensorrt", scale.say)
    except BackendMissingError as error:
        scale.say(f"nothing to measure: {error}")
        return
    for input_type in ("float32", "uint8"):
        as_input = f"model.input_type={input_type}"
        heavy = _Rig((as_input,), scale)
        whole_rps = heavy.ground.profile.capacity_rps(heavy.limits.max_batch)
        if input_type == "float32":
            yield from _taxes(heavy.ground)
        with heavy:
            yield _first(heavy, input_type)
            yield from _idle(heavy, input_type, scale)
            yield from _saturated(heavy, input_type, whole_rps, scale)
            if input_type == "float32":
                yield from _simulated(heavy, scale)
        with _Rig((as_input, *_LIGHT), scale) as light:
            yield _host(light, input_type, whole_rps, scale)


class _Rig:
    """A config's engines on the GPU, with page-locked payloads and every graph captured."""

    def __init__(self, changes: tuple[str, ...], scale: Scale) -> None:
        self.config = load_config("resnet_152_gpu", changes)
        self.ground: Ground = lay_ground(self.config, scale.say)
        self.limits = limits_of(self.config, self.ground.profile.stages)
        self._say = scale.say
        self._opened = ExitStack()

    def __enter__(self) -> _Rig:
        prepared = self.ground.prepared
        assert isinstance(prepared, PreparedGpu)
        rows = PooledRows(self.config, prepared)
        self.device = self._opened.enter_context(CudaDevice())
        examples = examples_of(self.limits, lambda length: rows.row(0, length))
        opened = open_launcher(prepared, self.limits, examples, self.device)
        self.launcher, self.table = self._opened.enter_context(opened)
        rows.pin(self.launcher.pin)
        self.payload: Callable[[int], Mapping[str, Array]] = lambda query_id: rows.row(query_id, None)
        self.launcher.serve(self.payload, {})
        for step in warmed(self.launcher, self.limits):
            self._say(step)
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def through_runtime(self, policy: Policy, arrivals_ns: list[int]) -> tuple[Journal, int]:
        """A run of the polling driver, and for how long it had something in flight."""
        machine = Machine(self.limits, self.ground.profile, policy)
        journal = Journal(len(arrivals_ns))
        driver = PollingDriver(machine, self.table, JournalObserver(journal))
        with undisturbed():  # whose preparations take tens of milliseconds: before the clock starts
            driver.set_anchor(time.perf_counter_ns() + _GAP_NS)
            driver.run(self.launcher, PullArrivals(arrivals_ns, None))
        return journal, driver.busy_ns


def _taxes(ground: Ground) -> Iterator[Figure]:
    for size, tax in ground.slicing_tax.items():
        yield Figure(f"slicing tax, batch {size}", tax, "of whole", TAX_TARGET)


def _first(rig: _Rig, input_type: str) -> Figure:
    """What queueing takes of whole graphs that no run has launched so far, and of the same ones again."""
    launcher, limits, index = rig.launcher, rig.limits, rig.limits.buffer_sets - 1
    took_ns: tuple[list[int], list[int]] = ([], [])
    for size in range(1, limits.max_batch + 1):
        for taken_ns in took_ns:
            began_ns = time.perf_counter_ns()
            launcher.repeat(index, 0, limits.last_stage, Place(index, 0, size), 0)
            taken_ns.append(time.perf_counter_ns() - began_ns)
            launcher.synchronize(index)
    first, again = median(took_ns[0]), median(took_ns[1])
    return Figure(
        f"first launch of a graph, {input_type}", first / again, "of later", FIRST_TARGET,
        detail=f"{first / NS_PER_US:.0f} us against {again / NS_PER_US:.0f} us",
    )  # fmt: skip


def _idle(rig: _Rig, input_type: str, scale: Scale) -> Iterator[Figure]:
    """Lone queries, by turns through the runtime and by hand."""
    direct = _Direct(rig)
    profile = rig.ground.profile
    whole_ns = profile.whole_ns(1, 0)
    policies: tuple[Policy, ...] = (
        Normal(FillOrWait(rig.limits.max_batch, 0, 1)),
        LoadDva(CatchingUp(rig.limits.max_batch, rig.limits.max_batch, 1, whole_ns // 2)),
    )
    count = scale.pick(40, 10)
    for policy in policies:
        name = policy.digest.split()[0]
        scale.say(f"one query at a time through {name}, {input_type}")
        through_ns: list[int] = []
        direct_ns: list[int] = []
        arrivals_ns = [(index + 1) * (whole_ns + _GAP_NS) for index in range(count)]
        for _ in range(5):
            journal, _busy_ns = rig.through_runtime(policy, arrivals_ns)
            spent = np.asarray(journal.done_ns) - np.asarray(journal.arrival_ns)
            through_ns += spent[count // 4 :].tolist()
            direct_ns += [direct.timed_ns(_GAP_NS) for _ in range(count)][count // 4 :]
        through, by_hand = median(through_ns), median(direct_ns)
        yield Figure(
            f"idle runtime, {name}, {input_type}", through / by_hand, "of direct", IDLE_TARGET,
            detail=f"{through / 1e6:.3f} ms against {by_hand / 1e6:.3f} ms, {(through - by_hand) / NS_PER_US:+.0f} us",
        )  # fmt: skip


class _Direct:
    """The stages' graphs back to back, between the upload of a row and the download of its answer: no machine, no driver."""

    def __init__(self, rig: _Rig) -> None:
        device, table, launcher = rig.device, rig.table, rig.launcher
        place, layout = Place(0, 0, 1), table.layout
        self._stream, self._done = device.stream(), device.event()
        payload = rig.payload(0)
        self._in = [(table.address(place, 0, name), payload[name].reshape(-1).view(np.uint8)) for name in layout.inputs]
        rows = table.rows(place, 0, layout.outputs)
        self._out = [(rows[name], table.address(place, 0, name)) for name in layout.outputs]
        last = rig.limits.last_stage
        keys = [(0, stage, stage, 0, place) for stage in range(last + 1)]
        found = launcher.graphs.find_first(keys)
        assert found is not None, "the stages were not captured"
        self._graphs = found

    def timed_ns(self, gap_ns: int) -> int:
        """One query after a pause, in which the thread stays awake as the driver's does."""
        until_ns = time.perf_counter_ns() + gap_ns
        while time.perf_counter_ns() < until_ns:
            pass
        began_ns = time.perf_counter_ns()
        for target, source in self._in:
            self._stream.upload(target, source)
        for graph in self._graphs:
            self._stream.launch(graph)
        for rows, source_address in self._out:
            self._stream.download(rows, source_address)
        self._stream.record(self._done)
        while not self._done.query():
            pass
        return time.perf_counter_ns() - began_ns


def _saturated(rig: _Rig, input_type: str, whole_rps: float, scale: Scale) -> Iterator[Figure]:
    """Half as much again as the whole engine could serve."""
    for instances in (2, 4):
        policy = Normal(FillOrWait(rig.limits.max_batch, 0, instances))
        scale.say(f"a full device, {instances} batches at a time, {input_type}")
        rate, busy = _served(rig, policy, 1.5 * whole_rps, scale)
        name = f"full device, {instances} at a time, {input_type}"
        yield Figure(f"{name}: busy", busy, "of time", BUSY_TARGET, ">=")
        yield Figure(
            f"{name}: served", rate / whole_rps, "of whole", THROUGHPUT_TARGET, ">=",
            f"{rate:,.0f} of {whole_rps:,.0f} queries/s",
        )  # fmt: skip


def _served(rig: _Rig, policy: Policy, offered_rps: float, scale: Scale) -> tuple[float, float]:
    """Queries a second between the first answers and the last, and the busy part of the time."""
    count = round(offered_rps * scale.pick(1000, 200) / 1e3)
    arrivals_ns = [round(index * _NS_PER_S / offered_rps) for index in range(count)]
    journal, busy_ns = rig.through_runtime(policy, arrivals_ns)
    done_ns = np.sort(np.asarray(journal.done_ns))
    skip = min(count // 10, 2 * rig.limits.max_batch)
    rate = (count - 1 - skip) / ((done_ns[-1] - done_ns[skip]) / _NS_PER_S)
    return float(rate), busy_ns / float(done_ns[-1])


def _simulated(rig: _Rig, scale: Scale) -> Iterator[Figure]:
    """The same arrivals through the runtime and in simulation, with ever more batches at a time."""
    profile, limits = rig.ground.profile, rig.limits
    capacity_rps = profile.capacity_rps(limits.max_batch)
    for instances in (1, 4, 8):
        for utilization in (0.1, 0.3, 0.5, 0.7):
            policy = Normal(FillOrWait(limits.max_batch, 0, instances))
            scale.say(f"simulated against measured, {instances} batches at a time, {utilization:.0%} of the capacity")
            rate_rps = utilization * capacity_rps
            gaps_s = np.random.default_rng(instances).exponential(
                1 / rate_rps, round(rate_rps * scale.pick(1000, 200) / 1e3)
            )
            arrivals_ns = (np.cumsum(gaps_s) * _NS_PER_S).astype(np.int64).tolist()
            measured_ms = _mean_ms(rig.through_runtime(policy, arrivals_ns)[0])
            simulated_ms = _mean_ms(SimulatedDriver(Machine(limits, profile, policy)).run(arrivals_ns))
            yield Figure(
                f"simulated, {instances} at a time, {utilization:.0%}", simulated_ms / measured_ms, "of measured",
                detail=f"mean response {simulated_ms:.3f} ms against {measured_ms:.3f} ms",
            )  # fmt: skip


def _mean_ms(journal: Journal) -> float:
    return float(np.mean(np.asarray(journal.done_ns) - np.asarray(journal.arrival_ns))) / NS_PER_MS


def _host(rig: _Rig, input_type: str, whole_rps: float, scale: Scale) -> Figure:
    """Everything but the device's work: payloads of the same size, decisions, launches, answers. More than that is offered."""
    scale.say(f"what the host can take, {input_type}")
    policy = Normal(FillOrWait(rig.limits.max_batch, 0, 4))
    offered_rps = _BEYOND * whole_rps
    rate, _ = _served(rig, policy, offered_rps, scale)
    device_rps = rig.ground.profile.capacity_rps(rig.limits.max_batch)
    return Figure(
        f"host's limit, {input_type}", rate / whole_rps, "of whole", HOST_TARGET, ">=",
        f"{rate:,.0f} of {offered_rps:,.0f} queries/s of a network that the device runs at {device_rps:,.0f}",
    )  # fmt: skip


BENCHMARK = Benchmark("device", "the runtime on a GPU, against the stages' graphs and the whole engine", run)
