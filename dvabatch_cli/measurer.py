"""Measures points: those of a schedule by turns, again while the host disturbs them; each is kept as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvabatch.batching.profile import Profile
from dvabatch.loadgen import Schedule
from dvabatch.reporting.measured import Queries
from dvabatch.reporting.points import load_queries, save_point
from dvabatch.reporting.summary import summarise
from dvabatch_cli.attempts import Attempts, is_done
from dvabatch_cli.config import Config
from dvabatch_cli.result import Result
from dvabatch_cli.testbed import Bed, SimulatedBed
from dvabatch_cli.wiring import Contender, LoadPoint

Say = Callable[[str], None]
_STEADY = 0.1  # a host whose speed in the two halves of a point differs by less is steady


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement to make."""

    load: LoadPoint
    schedule: Schedule
    contender: Contender
    key: str


class Measurer:
    """Measures points on one bed, into one results folder."""

    def __init__(
        self, config: Config, folder: Path, bed: Bed, profile: Profile | None, say: Say, *, trace: bool = False
    ) -> None:
        """`profile` is what twins are simulated on; None on a bed that is simulated itself. With `trace`, every decision of
        each point is recorded in traces/ beside the points."""
        self._config = config
        self._folder = folder
        self._bed = bed
        self._profile = profile
        self._say = say
        self._trace = trace

    def turn(
        self, points: Sequence[Point], known: Mapping[str, dict[str, Any]]
    ) -> Iterator[tuple[Point, dict[str, Any], str]]:
        """Measures what meets one schedule: each point, its run, and how long it took, when it is done.

        Points are measured again while the host disturbs them, which may pass, behind the others: a slow spell may outlast all
        the attempts at one, and is not to meet a single contender.
        """
        left: list[tuple[Point, Attempts, float]] = []
        most = self._config.load.attempts
        for point in points:
            run = known.get(point.key)
            if run is not None and is_done(run, most):
                yield point, run, "kept from before"
                continue
            attempts = Attempts(most)
            if run is not None:
                attempts.go_on_from(run, load_queries(self._folder, point.key))
            left.append((point, attempts, 0.0))
        while left:
            again = []
            for point, attempts, before_s in left:
                began_s = time.monotonic()
                self._attempt(point, attempts)
                took_s = before_s + time.monotonic() - began_s
                if attempts.again is None:
                    yield point, attempts.best[0], f"{took_s:.1f} s"
                else:
                    again.append((point, attempts, took_s))
            left = again

    def _attempt(self, point: Point, attempts: Attempts) -> None:
        """Measures a point once more; what counts so far is kept."""
        run, queries = self._measured(point)
        counts = attempts.add(run, queries)
        if self._trace:
            file = self._trace_under_way(point)
            if counts:
                file.replace(self._folder / "traces" / f"{point.key}.jsonl")
            else:
                file.unlink()
        save_point(self._folder, point.key, *attempts.best)
        if attempts.again is not None:
            self._say(f"{said(point, run)}: {attempts.again}; measured again")

    def _measured(self, point: Point) -> tuple[dict[str, Any], Queries]:
        with ExitStack() as opened:
            trace = None
            if self._trace:
                file = self._trace_under_way(point)
                file.parent.mkdir(exist_ok=True)
                trace = opened.enter_context(file.open("w"))
            result = self._bed.run(point.contender, point.load, point.schedule, trace)
        run = summarise(result.measured)
        run["reasons"] = dict(result.reasons)
        run["correctness"] = result.correctness
        if result.graphs is not None:
            run["graphs"] = dict(result.graphs)
        if result.queueing_us is not None:
            run["queueing_us"] = dict(result.queueing_us)
        if result.gpu is not None:
            run["gpu"] = dict(result.gpu)
        if result.faults is not None:
            run["faults"] = dict(result.faults)
        if result.held_back is not None:
            run["held_back"] = dict(result.held_back)
        if result.correctness is not None and not result.correctness["passed"]:
            run["valid"] = False
            run["invalid_reasons"] = [
                *run["invalid_reasons"],
                f"{result.wrong_answers} of {result.correctness['checked']} checked answers are wrong",
            ]
        if self._config.checks.twin and self._profile is not None:
            run["twin"] = self._twin(point, result, self._profile)
        return run, result.measured.queries

    def _trace_under_way(self, point: Point) -> Path:
        """Where an attempt is traced; it goes to its place if it counts, and is written over if it does not."""
        return self._folder / "traces" / f".{point.key}.new"

    def _twin(self, point: Point, result: Result, profile: Profile) -> dict[str, Any]:
        """The same point in simulation, at the pace that the machine showed, and with launches that disturb each other as they
        did right before and after; where it showed nothing, by the profile."""
        bed = SimulatedBed(self._config, profile)
        speed, disturbance = result.speed, result.disturbance
        disturbed = 1.0 if disturbance is None else sum(disturbance) / 2
        simulated = bed.run(point.contender, point.load, point.schedule, pace=result.pace, disturbance=disturbed)
        run = summarise(simulated.measured)
        return {
            "speed": None if speed is None else [round(each, 4) for each in speed],
            "disturbance": None if disturbance is None else [round(each, 4) for each in disturbance],
            "steady": speed is not None and _steady(speed, _STEADY) and _steady(disturbance or (1.0, 1.0), _STEADY / 2),
            "saturated": run["saturated"],
            "response_ms": run["response_ms"],
            "operations": run["operations"],
        }


def said(point: Point, run: Mapping[str, Any]) -> str:
    """One point in a line."""
    load = point.load
    at = f"{load.rate_rps:.4g} rps" if load.utilization is None else f"{load.utilization:.0%}"
    mean = run["response_ms"]["mean"]
    flags = "" if run["valid"] else " INVALID"
    flags += " saturated" if run["saturated"] else ""
    told = "n/a" if mean is None else f"{mean:.4g} ms"
    return f"{point.contender.name} at {at}, seed {point.schedule.seed}: mean {told}{flags}"


def _steady(both: tuple[float, float], most: float) -> bool:
    """Whether what was found twice differs by this part at the most."""
    return max(both) - min(both) <= most * min(both)
