"""The laws that a ledger keeps at every instant, as one check that drivers run in debug and tests run always."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from dvabatch.batching.errors import LawError
from dvabatch.batching.ledger import Ledger
from dvabatch.batching.states import BatchState, ExecutorState


def check(ledger: Ledger, *, wake_pending: bool) -> None:
    """Raises:
    LawError: naming the law that does not hold, and for what.
    """
    _queries_are_in_one_place(ledger)
    _rows_have_one_owner(ledger)
    _executors_have_one_owner(ledger)
    _batches_are_whole(ledger)
    _something_is_outstanding(ledger, wake_pending=wake_pending)


def _queries_are_in_one_place(ledger: Ledger) -> None:
    ids = ledger.waiting.ids()
    for batch in ledger.batches:
        held = tuple(query.id for query in batch.queries)
        if batch.ids != held:
            raise LawError(f"law 1: batch {batch.id} launches {batch.ids} and holds {held}")
        ids.extend(held)
    if len(ids) != len(set(ids)):
        raise LawError(f"law 1: a query is in two places: {sorted(ids)}")
    if len(ledger.waiting.ids()) != ledger.waiting.count:
        raise LawError(f"law 1: {ledger.waiting.count} queries are said to wait, {len(ledger.waiting.ids())} do")


def _rows_have_one_owner(ledger: Ledger) -> None:
    for index in range(ledger.sets.count):
        places = sorted(ledger.sets.tenants(index).values(), key=lambda place: place.first_row)
        for one, other in pairwise(places):
            if one.end_row > other.first_row:
                raise LawError(f"law 3: {one} and {other} overlap")
        if places and places[-1].end_row > ledger.limits.max_batch:
            raise LawError(f"law 3: {places[-1]} ends behind row {ledger.limits.max_batch}")
    for batch in ledger.batches:
        if ledger.sets.tenants(batch.place.buffer_set).get(batch.id) != batch.place:
            raise LawError(f"law 3: batch {batch.id} does not own {batch.place}")


def _executors_have_one_owner(ledger: Ledger) -> None:
    behind = set(ledger.followers.values())
    owned = {}
    for launch in ledger.launches.values():
        if launch.id in behind:
            continue
        for stage, index in enumerate(launch.executors, launch.first_stage):
            owned[stage, index] = launch.id
    for stage in range(ledger.limits.stages):
        idle = 0
        for index in range(ledger.executors.count(stage)):
            state, owner = ledger.executors.state(stage, index), ledger.executors.owner(stage, index)
            idle += state is ExecutorState.IDLE
            if owner != owned.get((stage, index)) or (state is ExecutorState.BUSY) != (owner is not None):
                raise LawError(f"law 3: executor {index} of stage {stage} is {state.name} with owner {owner}")
        if idle != ledger.executors.idle[stage]:
            raise LawError(f"law 3: stage {stage} has {idle} idle executors, {ledger.executors.idle[stage]} on offer")


def _batches_are_whole(ledger: Ledger) -> None:
    for batch in ledger.batches:
        if not 0 < batch.size <= ledger.limits.max_batch or batch.size != batch.place.rows:
            raise LawError(f"law 2: batch {batch.id} has {batch.size} queries in {batch.place}")
        running = batch.state is BatchState.RUNNING
        if running != (batch.launch_id is not None) or (running and batch.launch_id not in ledger.launches):
            raise LawError(f"law 2: batch {batch.id} is {batch.state.name} with launch {batch.launch_id}")
        if batch.boundary != (
            ledger.launches[batch.launch_id].last_stage + 1 if batch.launch_id is not None else batch.stage
        ):
            raise LawError(f"law 2: batch {batch.id} stands before stage {batch.stage}, bound for {batch.boundary}")
        if batch.tail is not None and ledger.batch(batch.tail).head != batch.id:
            raise LawError(f"law 4: batch {batch.id} and its tail {batch.tail} disagree")
        if batch.head is not None and ledger.batch(batch.head).tail != batch.id:
            raise LawError(f"law 4: batch {batch.id} and its head {batch.head} disagree")
        if batch.state is BatchState.HELD and (batch.tail is None or ledger.batch(batch.tail).stage >= batch.stage):
            raise LawError(f"law 5: batch {batch.id} is held for nobody behind it")
        if not running and batch.is_empty:
            raise LawError(f"law 1: batch {batch.id} lives on without a query")

    for lane in range(len(ledger.limits.lanes)):
        found = Counter(batch.boundary for batch in ledger.batches if batch.lane == lane)
        if list(ledger.bound_for(lane)) != [found[boundary] for boundary in range(ledger.limits.stages + 1)]:
            raise LawError(
                f"law 2: lane {lane} counts {ledger.bound_for(lane)} batches by boundary, it has {dict(found)}"
            )


def _something_is_outstanding(ledger: Ledger, *, wake_pending: bool) -> None:
    if (ledger.waiting.count or ledger.batches) and not ledger.launches and not wake_pending:
        raise LawError(
            f"law 5: {ledger.waiting.count} queries wait and {len(ledger.batches)} batches stand, "
            "but no launch or wake-up is outstanding"
        )
