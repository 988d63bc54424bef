"""What a search found, as rows of its document and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from dvabatch_cli.searching.limit import Verdict
from dvabatch_cli.searching.limit_search import LimitSearch
from dvabatch_cli.searching.slo import Slo


def limit_row(search: LimitSearch) -> dict[str, Any]:
    """One contender: `low_rps` holds the objective, `high_rps` does not, and how both are known."""
    edges = search.bracket
    fails_below = [
        rate for rate, verdict in search.judged.items() if verdict.fails and rate < (edges.low_rps or 0)
    ]  # fmt: skip
    return {
        "policy": search.contender.name,
        "role": search.contender.role,
        "options": dict(search.contender.options),
        "status": search.status,
        "low_rps": edges.low_rps,
        "high_rps": edges.high_rps,
        "kind": search.kind,
        "low": None if edges.low_rps is None else search.facts(edges.low_rps),
        "high": None if edges.high_rps is None else search.facts(edges.high_rps),
        "misses_below_rps": max(fails_below, default=None),
        "invalid_reasons": [] if search.invalid is None else list(search.invalid.invalid_reasons),
        "rates": [search.facts(rate) for rate in sorted(search.rates)],
    }


def why_not(search: LimitSearch) -> str | None:
    """In a sentence why there is no limit, and what to do; None if there is one."""
    name, slo = search.contender.name, search.prober.slo
    match search.status:
        case "unreachable":
            return f"{name} misses {slo} at every rate down to {min(search.rates):.6g} queries/s: {_lowest(search)}"
        case "undecided":
            open_at = [f"{rate:.6g}" for rate, at in sorted(search.rates.items()) if at.verdict is Verdict.OPEN]
            return (
                f"{name}: nothing shows that {slo} holds, nor that it does not at {', '.join(open_at)} queries/s; "
                "give it more queries (load.num_requests, load.max_duration_s) or --seeds"
            )
        case "invalid":
            assert search.invalid is not None
            return f"INVALID {name}: {'; '.join(search.invalid.invalid_reasons)}"
        case _:
            return None


def _lowest(search: LimitSearch) -> str:
    """How near it came."""
    slo, reached = search.prober.slo, search.lowest_quantile()
    if reached is None:
        return f"at none were as many answered as {slo.quantile} asks for; see why queries got no answer with dvabatch bench"
    rate, probe = reached
    return (
        f"its lowest {slo.quantile} was {probe.quantile_ms:.4g} ms, at {rate:.6g} queries/s, where the fastest answer took "
        f"{probe.fastest_ms:.4g} ms; allow more time, or let it wait less for company"
    )


def limit_table(rows: Sequence[Mapping[str, Any]], slo: Slo) -> Table:
    """Highest rate per policy: the bracket, its kind, parts of the capacity, and what was in time at both ends."""
    table = Table(
        title=Text(f"highest rate with {slo}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("policy", overflow="fold", max_width=24)
    for heading in ("holds at rps", "misses at rps"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for heading in ("of capacity", "in time at the first, %", "at the second, %"):
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        ends = (row["low"], row["high"])
        table.add_row(
            Text(row["policy"]),  # a Text: a name is no markup
            *("-" if end is None else f"{end['rate_rps']:.6g}" for end in ends),
            row["kind"] or Text(row["status"], style="yellow"),
            " .. ".join(f"{end['of_capacity']:.1%}" for end in ends if end is not None) or "-",
            *("-" if end is None else _share(end) for end in ends),
        )
    below = [
        f"{row['policy']} up to {row['misses_below_rps']:.6g}" for row in rows if row["misses_below_rps"] is not None
    ]
    if below:
        table.caption = Text(f"at low rates too there are misses, where company is rare: {', '.join(below)} rps")
        table.caption_justify = "left"
    return table


def _share(end: Mapping[str, Any]) -> str:
    """The share in time with its interval; of runs that were cut short, what it was at the most."""
    if end["cut"]:
        return f"< {100 * end['attainment']:.4g}, cut short"
    low, high = end["ci95"]
    return f"{100 * end['attainment']:.4g} ({100 * low:.4g} .. {100 * high:.4g})"
