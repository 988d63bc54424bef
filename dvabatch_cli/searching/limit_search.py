"""The search for one contender's limit: which rate next, how many runs there, and whether fresh seeds agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dvabatch.reporting.attainment import attainment
from dvabatch_cli.halving import SEED_OFFSET
from dvabatch_cli.searching.limit import Bracket, Ladder, Verdict, bracket
from dvabatch_cli.searching.probe import Probe, judge, settled
from dvabatch_cli.searching.prober import Prober
from dvabatch_cli.wiring import Contender

Say = Callable[[str], None]
Status = Literal["found", "no end", "unreachable", "undecided", "invalid", "interrupted"]
_FRESH = 2 * SEED_OFFSET  # behind the seeds of a sweep


@dataclass(slots=True)
class AtRate:
    """All that is known of one rate. Once it has been run with fresh seeds, these alone count: those before chose it."""

    probes: list[Probe]
    verdict: Verdict
    fresh: bool = False


@dataclass(slots=True)
class LimitSearch:
    """One contender's search; what was found so far can be asked for at any time."""

    contender: Contender
    prober: Prober
    ladder: Ladder
    exact: bool
    say: Say
    rates: dict[float, AtRate] = field(default_factory=dict)
    over: bool = False
    invalid: Probe | None = None

    def run(self) -> None:
        """Until the bracket is narrow and both of its ends have been confirmed, or a probe stays invalid.

        Rates are compared on the same seeds, one more at a time until the interval decides. That looks again and again, and
        picks rates for what their seeds happened to show: so the ends are run with seeds that chose nothing, as many as there
        may be, and what those say counts.
        """
        while self.invalid is None:
            rate = self.ladder.next_rate(self.judged)
            if rate is not None:
                self._look(rate, self._seeds(), fresh=False)
                continue
            rate = next((end for end in self._ends() if not self.rates[end].fresh), None)
            if rate is None or self.exact:
                break
            self._look(rate, self._fresh_seeds(), fresh=True)
        self.over = True

    @property
    def judged(self) -> dict[float, Verdict]:
        return {rate: at.verdict for rate, at in self.rates.items()}

    @property
    def bracket(self) -> Bracket:
        return bracket(self.judged)

    @property
    def status(self) -> Status:
        if self.invalid is not None:
            return "invalid"
        if not self.over:
            return "interrupted"
        if self.bracket.low_rps is None:
            return "undecided" if Verdict.OPEN in self.judged.values() else "unreachable"
        return "no end" if self.bracket.high_rps is None else "found"

    @property
    def kind(self) -> Literal["cliff", "knee"] | None:
        """A cliff: right behind the limit the backlog grows for good. A knee: it does not, answers are merely too slow."""
        high = self.bracket.high_rps
        if self.bracket.low_rps is None or high is None:
            return None
        return "cliff" if self.rates[high].verdict is Verdict.OVERLOADED else "knee"

    def lowest_quantile(self) -> tuple[float, Probe] | None:
        """The rate and run at which the objective's quantile was the lowest, of all that were run; None if none has one."""
        known = [
            (probe.quantile_ms, rate, probe)
            for rate, at in self.rates.items()
            for probe in at.probes
            if probe.quantile_ms is not None
        ]
        return min(known, key=lambda each: each[0])[1:] if known else None

    def _ends(self) -> Iterator[float]:
        edges = self.bracket
        if edges.low_rps is not None:
            yield from (end for end in (edges.low_rps, edges.high_rps) if end is not None)

    def _seeds(self) -> Sequence[int]:
        seeds = self.prober.config.load.seeds
        return [*seeds, *range(max(seeds) + 1, max(seeds) + 1 + self.prober.runs)][: self.prober.runs]

    def _fresh_seeds(self) -> Sequence[int]:
        first = max(self.prober.config.load.seeds) + _FRESH
        return range(first, first + self.prober.runs)

    def _look(self, rate_rps: float, seeds: Sequence[int], *, fresh: bool) -> None:
        """Runs a rate and judges it: seed by seed, until it is decided; with fresh seeds all, unless the rest cannot matter."""
        prober, slo = self.prober, self.prober.slo
        probes: list[Probe] = []
        for seed in seeds[:1] if self.exact else seeds:
            probe = prober.probe(self.contender, rate_rps, seed, whole=fresh)
            if not probe.valid:
                self.invalid = probe
                self.say(
                    f"{self.contender.name} at {rate_rps:.6g} queries/s: INVALID, {'; '.join(probe.invalid_reasons)}"
                )
                return
            probes.append(probe)
            verdict = judge(probes, slo, prober.runs, exact=self.exact)
            if settled(probes, slo, prober.runs, exact=self.exact) if fresh else verdict is not Verdict.OPEN:
                break
        self.rates[rate_rps] = AtRate(probes, verdict, fresh)
        self.say(self._told(rate_rps))

    def _told(self, rate_rps: float) -> str:
        at = self.rates[rate_rps]
        runs = f"{len(at.probes)} {'fresh ' if at.fresh else ''}run{'s' if len(at.probes) > 1 else ''}"
        facts = self.facts(rate_rps)
        low, high = facts["ci95"]
        share = (
            "cut short"
            if facts["cut"]
            else f"{100 * facts['attainment']:.4g} % in time ({100 * low:.4g} .. {100 * high:.4g} %)"
        )
        return f"{self.contender.name} at {rate_rps:.6g} queries/s: {at.verdict.value}, {share}, {runs}"

    def facts(self, rate_rps: float) -> dict[str, Any]:
        """What is known of a rate, as the document has it."""
        at = self.rates[rate_rps]
        found = attainment([block for probe in at.probes for block in probe.blocks], exact=self.exact)
        quantiles = [probe.quantile_ms for probe in at.probes if probe.quantile_ms is not None]
        return {
            "rate_rps": rate_rps,
            "of_capacity": float(f"{rate_rps / self.prober.capacity_rps:.6g}"),
            "verdict": at.verdict.value,
            "attainment": float(f"{found.share:.6g}"),
            "ci95": [float(f"{found.low:.6g}"), float(f"{found.high:.6g}")],
            "offered": found.offered,
            "runs": len(at.probes),
            "saturated": sum(probe.saturated for probe in at.probes),
            "cut": sum(probe.cut_ms is not None for probe in at.probes),
            "fresh": at.fresh,
            "worst_quantile_ms": max(quantiles) if len(quantiles) == len(at.probes) else None,
        }
