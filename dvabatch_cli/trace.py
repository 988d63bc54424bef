"""`dvabatch trace`: a recorded run as a timeline that opens in Perfetto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dvabatch import __version__
from dvabatch.reporting.files import write_chunks
from dvabatch.reporting.perfetto import chunks
from dvabatch.reporting.timeline import Counts, Event, Timeline, Window
from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.options import Json, OfLoad, OfPolicy, OfSeed, Run
from dvabatch_cli.recording import Choice, Recording, open_recording

VIEWER = "https://ui.perfetto.dev"
_S = 1_000_000_000
_LONGEST_S = 1e9


@app.command(epilog="Example: dvabatch trace results/mine --policy LOAD_DVA --load 0.5 --seed 1 -o run.perfetto.json")
def trace(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path("run.perfetto.json"),
    policy: OfPolicy = None,
    load: OfLoad = None,
    seed: OfSeed = None,
    begin_s: Annotated[float, typer.Option("--from", min=0, help="Draw what begins from this second on.")] = 0.0,
    until_s: Annotated[float | None, typer.Option("--until", help="And before this one [the end].")] = None,
    as_json: Json = False,
) -> None:
    """Write a recorded run as a timeline in Chrome's trace event form: open it in Perfetto.

    A track for each stage and executor, a slice for each launch, an arrow for each query from its first launch to its last,
    the operations as instants, and counters. The run is replayed from its trace (`bench` and `simulate` record one with
    --trace) and held to it: what is drawn is what happened, and of a whole run as much as the report counts.
    """
    with one_message():
        recording = open_recording(run, Choice(policy, load, seed))
        window = Window(_ns(begin_s)) if until_s is None else Window(_ns(begin_s), _ns(until_s))
        history = recording.history()
        timeline = Timeline(recording.limits, recording.profile, window)
        say = speaker(as_json)
        say(f"replaying {recording.title} ({recording.trace.stat().st_size / 1e6:.1f} MB)")
        written = _Counted(timeline.events(recording.steps(history, say)))

        def facts() -> dict[str, Any]:
            if window.is_whole:
                check_counts(timeline.counts, recording)
            return _facts(recording, timeline.counts, window)

        write_chunks(output, chunks(written, facts))
        document = {"file": str(output), **_facts(recording, timeline.counts, window), "events": written.count}
        if as_json:
            print_json(document)
        else:
            operations = ", ".join(f"{count} {kind}" for kind, count in document["operations"].items())
            out.print(
                f"{output}: {recording.title}, {document['queries']} queries in {document['launches']} launches by stage, "
                f"{operations}; {output.stat().st_size / 1e6:.1f} MB",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        say_next(f"open {output} in {VIEWER}, or dvabatch explain {recording.trace} --slowest 10", as_json)


def check_counts(counts: Counts, recording: Recording) -> None:
    """What was drawn of a whole run is what its report counts.

    Raises:
        CommandError: it is not.
    """
    run = recording.run
    drawn = {kind: counts.operations[kind] for kind in run["operations"]}
    launches = [counts.launches[stage] + counts.never_began[stage] for stage in range(recording.limits.stages)]
    reported = [stage.get("launches") for stage in run["stages"]]
    if drawn != run["operations"] or launches != reported:
        raise CommandError(
            f"{recording.trace} has operations {drawn} and launches {launches}, the report {run['operations']} and "
            f"{reported}: they are of different runs; run it again with --trace"
        )


def _ns(seconds: float) -> int:
    if not seconds <= _LONGEST_S:
        raise CommandError(f"--from and --until are {seconds:g} s, wanted seconds from the run's first instant on")
    return round(seconds * _S)


class _Counted:
    """Events as they pass, and how many they were."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self.count = 0

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            self.count += 1
            yield event


def _facts(recording: Recording, counts: Counts, window: Window) -> dict[str, Any]:
    """What the timeline is of, and what is in it."""
    run = recording.run
    return {
        "dvabatch_version": __version__,
        "name": recording.report["name"],
        "point": recording.key,
        "policy": run["policy"],
        "load": run["load"],
        "from_s": window.begin_ns / _S,
        "until_s": counts.span_ns / _S if window.is_whole else min(window.end_ns, counts.span_ns) / _S,
        "whole": window.is_whole,
        "queries": counts.queries,
        "operations": {kind: counts.operations[kind] for kind in run["operations"]},
        "launches": [counts.launches[stage] for stage in range(recording.limits.stages)],
    }
