"""The Python interface: open stages, submit queries, get answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack

import numpy as np
from typing_extensions import Self

from dvabatch.batching.events import QueryArrived, QueryCancelled
from dvabatch.batching.limits import Limits
from dvabatch.batching.machine import Machine, Policy
from dvabatch.batching.profile import NS_PER_MS, Profile
from dvabatch.batching.query import Query
from dvabatch.runtime.arrivals import NoArrivals
from dvabatch.runtime.launcher import Launcher
from dvabatch.runtime.observers import FutureObserver
from dvabatch.runtime.padding import check_inputs, cut_answer
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.threaded import ThreadedDriver
from engines.base import Array, StageEngine, TensorSpec
from engines.errors import EngineError


class Runtime:
    """Serves queries through a chain of stages under a batching policy.

    >>> from dvabatch.batching.policies.policy import Normal
    >>> from dvabatch.batching.policies.entry import FillOrWait
    >>> from dvabatch.runtime import table_stages
    >>> profile, stages = table_stages({"stages": [{"latency_ms": {"1": 0.1, "8": 0.2}}] * 3})
    >>> with Runtime(stages, Normal(FillOrWait(max_batch=8, max_delay_ns=0, instances=2)), profile) as runtime:
    ...     answers = [runtime.submit({"query": np.array([token, 0])}) for token in (7, 8, 9)]
    ...     [answer.result()["answer"].tolist() for answer in answers]
    [[7, 3], [8, 3], [9, 3]]

    (The table's stages pass each query's token on and count the stages it went through.)
    """

    def __init__(
        self,
        stages: Sequence[StageEngine],
        policy: Policy,
        profile: Profile,
        *,
        inputs: Sequence[TensorSpec] | None = None,
        outputs: Sequence[TensorSpec] | None = None,
        limits: Limits | None = None,
        pads: Mapping[str, float] | None = None,
        launch_timeout_ms: float | None = None,
        debug: bool = False,
    ) -> None:
        """`inputs` and `outputs` are the whole model's, by default those of the first and last stage.

        `pads` gives what fills a shorter query's row up to its lane's length, 0 where it says nothing. A launch that has not
        ended after `launch_timeout_ms` is given up: its queries fail, and the rest goes on (by default a hundred times what the
        profile says, and 10 s at the least). `debug` checks the machine's laws at every step and poisons fresh memory.

        Raises:
            ValueError: `launch_timeout_ms` is not above 0.
        """
        if launch_timeout_ms is not None and not launch_timeout_ms > 0:
            raise ValueError(f"launch_timeout_ms is {launch_timeout_ms}; wanted more than 0, or None for the usual one")
        self._launch_timeout_ns = None if launch_timeout_ms is None else max(1, round(launch_timeout_ms * NS_PER_MS))
        self._stages = tuple(stages)
        self._policy = policy
        self._profile = profile
        self._inputs = tuple(inputs or self._stages[0].inputs)
        self._outputs = tuple(outputs or self._stages[-1].outputs)
        self._limits = limits or Limits(
            len(self._stages), min(stage.max_batch for stage in stages), lanes=profile.lanes
        )
        self._pads = dict(pads or {})
        self._debug = debug
        self._payloads: dict[int, Mapping[str, Array]] = {}
        self._lengths: dict[int, int | None] = {}
        self._observer = FutureObserver(self._finish, self._release)
        self._lock = threading.Lock()
        self._next_id = 0
        self._open = ExitStack()
        self._driver: ThreadedDriver | None = None
        self._broken: BaseException | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for stage in self._stages:
                opening.enter_context(stage)
            layout = lay_out(self._stages, self._examples(), [tensor.name for tensor in self._outputs])
            table = TensorTable(layout, self._limits.buffer_sets, self._limits.max_batch, poison=self._debug)
            machine = Machine(self._limits, self._profile, self._policy, debug=self._debug)
            driver = ThreadedDriver(machine, table, self._observer, timeout_ns=self._launch_timeout_ns)
            launcher = Launcher(self._stages, table, self._payloads.get, self._pads, driver.post)
            thread = threading.Thread(target=self._drive, args=(driver, launcher), name="dvabatch-driver", daemon=True)
            thread.start()
            opening.callback(launcher.close)
            opening.callback(thread.join)
            opening.callback(driver.close)
            self._driver = driver
            self._open = opening.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Waits for every query that was submitted."""
        with self._lock:  # no query is posted behind the driver's end
            self._driver = None
        self._open.close()

    def submit(
        self, inputs: Mapping[str, Array], *, length: int | None = None, timeout_ms: float | None = None
    ) -> Future[Mapping[str, Array]]:
        """Hands one query in: each input is one row, without the batch axis. Any thread may call.

        The future gives the answer's rows by name, cut to the query's own length; it raises EngineError if the query
        failed and RejectedError if it never entered. `timeout_ms` is how long it may wait to enter.

        Raises:
            PayloadError: an input is missing or unknown, or has another type or shape: it would spoil its whole batch.
            EngineError: the runtime is not open.
        """
        rows = {name: np.asarray(value) for name, value in inputs.items()}
        check_inputs(rows, self._inputs, None if self._limits.lanes == (None,) else length)
        future: Future[Mapping[str, Array]] = Future()
        with self._lock:
            driver = self._driver
            if driver is None or self._broken is not None:
                raise EngineError(f"the runtime is not open{'' if self._broken is None else f': {self._broken}'}")
            query_id = self._next_id
            self._next_id += 1
            now_ns = max(0, time.perf_counter_ns() - driver.anchor_ns)
            deadline_ns = None if timeout_ms is None else now_ns + round(timeout_ms * 1e6)
            query = Query(query_id, now_ns, length, deadline_ns)
            self._payloads[query_id] = rows
            self._lengths[query_id] = length
            self._observer.futures[query_id] = future
            driver.post(QueryArrived(query))
        future.add_done_callback(lambda done: self._cancel(query_id) if done.cancelled() else None)
        return future

    def _cancel(self, query_id: int) -> None:
        """The owner gave the query up: the machine need not carry it any further."""
        driver = self._driver
        if driver is not None and query_id in self._observer.futures:
            driver.post(QueryCancelled(query_id))

    def _finish(self, query_id: int, answer: Mapping[str, Array]) -> Mapping[str, Array]:
        length = self._lengths[query_id]
        return {tensor.name: cut_answer(answer[tensor.name], free_axes(tensor), length) for tensor in self._outputs}

    def _release(self, query_id: int) -> None:
        del self._payloads[query_id], self._lengths[query_id]

    def _examples(self) -> list[dict[str, Array]]:
        """A batch of one for each lane, of zeros: free dimensions take the lane's length."""
        return [
            {
                tensor.name: np.zeros(
                    (1, *((lane or 1) if isinstance(dim, str) else dim for dim in tensor.shape[1:])), tensor.dtype
                )
                for tensor in self._inputs
            }
            for lane in self._limits.lanes
        ]

    def _drive(self, driver: ThreadedDriver, launcher: Launcher) -> None:
        try:
            driver.run(launcher, NoArrivals(), until_closed=True)
        except BaseException as error:  # noqa: BLE001 -- whatever ends the driver must reach those who wait for answers
            with self._lock:  # whoever submits sees it, or is seen here
                self._broken = error
                futures = tuple(self._observer.futures.values())
            for future in futures:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)


def free_axes(tensor: TensorSpec) -> tuple[int, ...]:
    """The axes of a row (the batch left out) that follow the query's length."""
    return tuple(axis for axis, dim in enumerate(tensor.shape[1:]) if isinstance(dim, str))
