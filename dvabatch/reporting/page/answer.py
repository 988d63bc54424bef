"""The question that a report answers, and its answer in a sentence or two: honest where a policy loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dvabatch.reporting.comparison import SEEDS_ASKED
from dvabatch.reporting.labels import load_label

from .cells import answered_text, change_interval_text, change_text
from .verdict import AtLoad, Outcome, Standing, outcome_of

_BEST: Final = "ordinary batching at its best"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page says first; `remarks` are what to mind about it."""

    question: str
    answer: str
    remarks: tuple[str, ...]


def answer_of(standing: Standing, served: str) -> Answer:
    """What the standing of a report's policies says of `served`, the name of what was run."""
    left_out = []
    if standing.left_out:
        told = f"{standing.left_out} of {standing.compared} comparisons rest on an INVALID run and are left out."
        left_out.append(told)
    question = _question(standing.policies, served)
    if not standing.best:
        why = "no comparison is valid" if standing.compared else "no baseline was run beside a policy"
        return Answer(question, f"This report does not say: {why}.", tuple(left_out))
    return Answer(question, _answer(standing), (*left_out, *_remarks(standing)))


def _question(policies: Sequence[str], served: str) -> str:
    if not policies:
        return f"How soon are queries answered on {served}?"
    who = policies[0] if len(policies) == 1 else f"one of {len(policies)} policies"
    return f"Does {who} answer sooner than ordinary batching on {served}?"


def _answer(standing: Standing) -> str:
    """Wins first, then what is lost or open."""
    loads = standing.best
    by = {outcome: [each for each in loads if each.outcome is outcome] for outcome in Outcome}
    won, lost, undecided, fewer = (by[each] for each in (Outcome.SOONER, Outcome.LATER, Outcome.OPEN, Outcome.FEWER))
    against = _BEST if standing.swept else "untuned ordinary batching"
    if won:
        lead = "Yes" if len(won) == len(loads) else "In part"
        first = f"{lead}: at {_counted(won, loads)} it answers sooner than {against}, {_most(won, largest=False)}."
    elif len(loads) == 1:
        first = f"No: at a load of {_at(loads[0])} it does not answer sooner than {against}."
    else:
        first = f"No: at none of {len(loads)} loads does it answer sooner than {against}."
    rest = []
    if lost:
        rest.append(f"at {_counted(lost, loads)} even the best policy answers later, {_most(lost, largest=True)}")
    if fewer:
        worst = min(fewer, key=lambda each: float(each.hardest["answered"]))
        at_worst = "" if len(fewer) == 1 else "at worst "
        rest.append(
            f"at {_counted(fewer, loads)} even the best policy answers fewer of the queries, {at_worst}"
            f"{answered_text(worst.hardest)}, so that no ratio of the rest counts"
        )
    if undecided:
        rest.append(f"at {_counted(undecided, loads)} the difference is undecided, {_within(undecided)}")
    return f"{first} {_capital('; '.join(rest))}." if rest else first


def _counted(some: Sequence[AtLoad], loads: Sequence[AtLoad]) -> str:
    if len(loads) > 1 and len(some) == len(loads):
        return f"each of {len(loads)} loads"
    if len(some) <= 3:
        return f"{'loads' if len(some) > 1 else 'a load'} of {_listed([_at(each) for each in some])}"
    return f"{len(some)} of {len(loads)} loads"


def _most(some: Sequence[AtLoad], *, largest: bool) -> str:
    """The plainest of them: where nobody is saturated if there is such a load, for only there a ratio keeps still."""
    steady = [each for each in some if not each.saturated] or some
    one = (max if largest else min)(steady, key=lambda each: each.ratio)
    interval = one.hardest["ratio_ci95"]
    told = "no interval" if interval is None else change_interval_text(one.ratio, interval)
    among = "" if len(steady) == len(some) else " (of those where all keep up)"
    where = "" if len(some) == 1 else f"most at {_at(one)}{among}, where "
    return f"{where}the mean response of {one.policy} is {change_text(one.ratio)} ({told})"


def _within(some: Sequence[AtLoad]) -> str:
    """How large a difference the undecided comparisons leave room for."""
    intervals = [each.hardest["ratio_ci95"] for each in some]
    if None in intervals:
        return "for want of an interval"
    bounds = [float(bound) for interval in intervals for bound in interval]
    return f"between {change_text(min(bounds))} and {change_text(max(bounds))} by the interval{'s' if len(some) > 1 else ''}"


def _remarks(standing: Standing) -> list[str]:
    loads, policies = standing.best, standing.policies
    remarks = []
    if not standing.swept:
        remarks.append("No setting of ordinary batching was swept: a gain over the untuned one alone says little.")
    else:
        remarks += _about_untuned(loads)
    if len(policies) > 1:
        remarks += _always(standing)
        remarks.append(
            f"The best of {len(policies)} policies is chosen at each load after the fact, which flatters it a little;"
            " the table of comparisons has every one."
        )
    remarks += _refusing(standing)
    some = [
        f"{_at(each)} ({answered_text(each.hardest)})"
        for each in loads
        if each.outcome is not Outcome.FEWER and min(each.hardest[key] for key in ("answered", "baseline_answered")) < 1
    ]
    if some:
        remarks.append(
            f"Not every query got an answer at {_listed(some)}: the ratio is over those that both sides answered."
        )
    strained = [_at(each) for each in loads if each.saturated and each.outcome is not Outcome.FEWER]
    if strained:
        remarks.append(
            f"At {_listed(strained)} the policy or the baseline could not keep up: the ratio there depends on how long the"
            " run lasted."
        )
    fewest = min(int(each.hardest["seeds"]) for each in loads)
    if fewest < SEEDS_ASKED:
        seeds = f"{fewest} seed{'s' if fewest != 1 else ''}"
        remarks.append(f"{seeds} where a claim asks for {SEEDS_ASKED}: an indication, not yet a claim.")
    return remarks


def _about_untuned(loads: Sequence[AtLoad]) -> list[str]:
    """What the untuned baseline has to do with it: usually the weaker one, so that a gain over it is seen for what it is."""
    remarks = []
    alone = [_at(each) for each in loads if set(each.against) == {"untuned"}]
    harder = [_at(each) for each in loads if _untuned_is_harder(each)]
    if alone:
        remarks.append(f"At {_listed(alone)} no comparison with a swept setting is valid: the untuned one stands in.")
    if harder:
        remarks.append(
            f"At {_listed(harder)} the untuned setting answers sooner than the swept one, and is what counts."
        )
    rows = [each.against["untuned"] for each in loads if "untuned" in each.against]
    rows = [row for row in rows if outcome_of(row) is not Outcome.FEWER]
    if rows and not alone and not harder:
        won = sum(outcome_of(row) is Outcome.SOONER for row in rows)
        ratios = sorted(float(row["ratio"]) for row in rows)
        where = "" if len(rows) == 1 else f" at {won} of {len(rows)} loads"
        span = change_text(ratios[0]) + (f" to {change_text(ratios[-1])}" if len(rows) > 1 else "")
        told = f"answers sooner{where}" if won else "does not answer sooner either"
        remarks.append(
            f"Against untuned batching, the weaker baseline, the same choice {told}: the mean response is {span}."
        )
    return remarks


def _untuned_is_harder(each: AtLoad) -> bool:
    return len(each.against) > 1 and each.hardest["baseline_role"] == "untuned" and each.outcome is not Outcome.FEWER


def _refusing(standing: Standing) -> list[str]:
    """Policies that refuse or fail queries at some load."""
    found = dict.fromkeys(point.policy for point in standing.points if point.outcome is Outcome.FEWER)
    if not found:
        return []
    names = list(found)
    return [
        f"{_listed(names)} answer{'s' if len(names) == 1 else ''} fewer of the queries than the baseline at some load: no ratio"
        " of the rest counts there, since whoever refuses what waits has little to do for the others."
    ]


def _always(standing: Standing) -> list[str]:
    """Policies that win, or lose, wherever they were compared."""
    remarks = []
    for outcome in (Outcome.LATER, Outcome.SOONER):
        names = []
        for policy in standing.policies:
            its = [point.outcome for point in standing.points if point.policy == policy]
            if its and set(its) == {outcome}:
                names.append(policy)
        if names:
            against = _BEST if standing.swept else "it"
            verb = "answers" if len(names) == 1 else "answer"
            remarks.append(f"{_listed(names)} {verb} {outcome.value} than {against} wherever they are compared.")
    return remarks


def _at(each: AtLoad) -> str:
    return load_label(each.load)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
