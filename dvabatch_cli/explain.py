"""`dvabatch explain`: where one query's time went, and what it would have taken without each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
import typer

from dvabatch.batching.events import QueryArrived
from dvabatch.reporting.account import Account, Accounts
from dvabatch.reporting.explained import (
    account_facts,
    operations_table,
    segments_table,
    slowest_table,
    without_table,
)
from dvabatch.reporting.measured import Queries, Status
from dvabatch.reporting.points import load_queries
from dvabatch.runtime.counterfactual import Arrivals
from dvabatch_cli.app import app
from dvabatch_cli.console import one_message, out, print_json, say_next, speaker
from dvabatch_cli.errors import CommandError
from dvabatch_cli.options import Json, OfLoad, OfPolicy, OfSeed, Run
from dvabatch_cli.recording import Choice, Recording, open_recording
from dvabatch_cli.what_if import without_operations

_MOST_SLOWEST: Final = 1000


@app.command(epilog="Example: dvabatch explain results/mine 17 --policy LOAD_DVA --load 0.5 --seed 1")
def explain(
    run: Run,
    query: Annotated[int | None, typer.Argument(metavar="[QUERY]", help="The query's number, from 0.")] = None,
    policy: OfPolicy = None,
    load: OfLoad = None,
    seed: OfSeed = None,
    slowest: Annotated[
        int | None, typer.Option("--slowest", min=1, max=_MOST_SLOWEST, help="List so many of the slowest instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where one query's time went: its response as consecutive segments that sum to it.

    With them the operations that it took part in, for whom it waited, and what it would have taken without each operation: the
    same queries are simulated once more with that operation, and later ones of its kind, kept off this query's batches. The
    run is replayed from its trace (`bench` and `simulate` record one with --trace).
    """
    with one_message():
        if (query is None) == (slowest is None):
            raise CommandError("wanted the number of one query, or --slowest N: dvabatch explain RUN QUERY")
        recording = open_recording(run, Choice(policy, load, seed))
        say = speaker(as_json)
        records = load_queries(recording.folder, recording.key)
        again = f"dvabatch explain {recording.trace}"
        if slowest is not None:
            _say_slowest(recording, records, slowest, say, again, as_json=as_json)
            return
        assert query is not None
        if not 0 <= query < len(records):
            raise CommandError(f"{recording.title} has queries 0 to {len(records) - 1}, not {query}")
        (account,), arrivals = _accounts(recording, records, [query], say)
        without = without_operations(recording, account, arrivals, say)
        if as_json:
            print_json({**_of_run(recording, records), **account_facts(account), **without})
        else:
            _show(recording, records, account, without)
        say_next(f"{again} --slowest 10", as_json)


def _say_slowest(
    recording: Recording, records: Queries, count: int, say: Callable[[str], None], again: str, *, as_json: bool
) -> None:
    responses = records.response_by_id_ns()
    worst = [int(each) for each in np.argsort(-responses, kind="stable")[:count] if responses[each] >= 0]
    if not worst:
        raise CommandError(f"{recording.title}: no query was answered, so that none was slow")
    accounts, _ = _accounts(recording, records, worst, say)
    if as_json:
        print_json({**_of_run(recording, records), "slowest": [account_facts(account) for account in accounts]})
    else:
        out.print(f"{recording.title}: {_mean_told(records)}", markup=False, highlight=False, soft_wrap=True)
        out.print(slowest_table(accounts))
    say_next(f"{again} {worst[0]}", as_json)


def _accounts(
    recording: Recording, records: Queries, wanted: Sequence[int], say: Callable[[str], None]
) -> tuple[list[Account], Arrivals]:
    """The accounts of these queries in this order, and who else came."""
    say(f"replaying {recording.title} ({recording.trace.stat().st_size / 1e6:.1f} MB)")
    history = recording.history()
    accounts = Accounts(recording.profile, wanted, lambda query_id: int(records.done_ns[query_id]))
    arrivals = Arrivals()
    for step in recording.steps(history, say):
        accounts.follow(step)
        arrivals.queries += [event.query for event in step.events if type(event) is QueryArrived]
    lacking = [query_id for query_id in wanted if query_id not in accounts.finished]
    if lacking:
        raise CommandError(
            f"{recording.trace} does not say how query {lacking[0]} ended: it is cut short; run it again with --trace"
        )
    found = [accounts.finished[query_id] for query_id in wanted]
    for account in found:
        came = int(records.arrival_ns[account.query_id]), Status(int(records.status[account.query_id]))
        if came != (account.arrival_ns, account.outcome):
            raise CommandError(
                f"query {account.query_id} is another one in {recording.trace} than in the records beside it; "
                "run it again with --trace"
            )
    return found, arrivals


def _of_run(recording: Recording, records: Queries) -> dict[str, Any]:
    responses = records.response_ns()
    return {
        "name": recording.report["name"],
        "point": recording.key,
        "policy": recording.run["policy"],
        "load": recording.run["load"],
        "mean_response_ns": float(responses.mean()) if len(responses) else None,
        "from_profile": ["copied", "launched"],
    }


def _show(recording: Recording, records: Queries, account: Account, without: Mapping[str, Any]) -> None:
    """One account for people."""
    fate = f"{account.outcome.name.lower()} after {account.response_ns / 1e6:.3f} ms"
    reason = "" if account.reason is None else f" ({account.reason})"
    responses = records.response_ns()
    rank = ""
    if account.outcome is Status.COMPLETED:
        rank = f", slower than {np.count_nonzero(responses < account.response_ns) / len(responses):.0%}"
    told = f"query {account.query_id} of {recording.title}: {fate}{reason}{rank}; {_mean_told(records)}"
    out.print(told, markup=False, highlight=False, soft_wrap=True)
    if account.segments:
        out.print(segments_table(account))
    if account.operations:
        out.print(operations_table(account))
    if without["without"]:
        out.print(without_table(without))
    for note in _notes(recording, without):
        out.print(note, markup=False, highlight=False, soft_wrap=True)


def _notes(recording: Recording, without: Mapping[str, Any]) -> list[str]:
    """What to mind when reading an account."""
    notes = []
    if recording.run.get("admission") != "simulated":
        notes.append("copied and being launched are reckoned by the profile; the run itself was measured")
    if without["not_simulated"] is not None:
        notes.append(f"not simulated without its operations: {without['not_simulated']}")
    elif without["left_out"]:
        notes.append(f"{without['left_out']} further operations are left out")
    if without["without"] and recording.report["config"].get("faults"):
        notes.append("the faults that were injected do not recur in the simulations")
    return notes


def _mean_told(records: Queries) -> str:
    responses = records.response_ns()
    return f"the run's mean is {responses.mean() / 1e6:.3f} ms" if len(responses) else "no query was answered"
