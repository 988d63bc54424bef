"""One run of a search: a contender at a rate and a seed, and what it says about the objective. Kept as soon as it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from dvabatch.reporting.attainment import BLOCKS, attainment, blocks_of
from dvabatch.reporting.canonical import pretty
from dvabatch.reporting.errors import ReportError
from dvabatch.reporting.files import read_object, write_text
from dvabatch.reporting.measured import IntArray, Measured, Status
from dvabatch.reporting.percentiles import rank
from dvabatch.reporting.validity import invalid_reasons, saturated, sender_reasons
from dvabatch_cli.searching.limit import Verdict
from dvabatch_cli.searching.slo import Slo

_HALF = Fraction(1, 2)
_Count = Annotated[int, Field(ge=0, le=1 << 40)]
_Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Probe:
    """One run. `blocks` has (in time, offered) of consecutive queries; of a run that was cut short, what it could still reach
    at the best. `quantile_ms` is the objective's quantile over all that were offered, None where it got no answer."""

    blocks: Annotated[tuple[tuple[_Count, _Count], ...], Field(min_length=1, max_length=BLOCKS)]
    saturated: bool
    cut_ms: _Milliseconds | None = None
    fastest_ms: _Milliseconds | None = None
    quantile_ms: _Milliseconds | None = None
    late: bool = False
    invalid_reasons: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    attempts: Annotated[int, Field(ge=1)] = 1

    def __post_init__(self) -> None:
        if any(not 0 <= met <= offered or offered < 1 for met, offered in self.blocks):
            raise ValueError(f"blocks are {self.blocks}, wanted 0 <= in time <= offered in each, and one offered")

    @property
    def valid(self) -> bool:
        return not self.invalid_reasons

    def perfect(self) -> Probe:
        """As long a run in which all are in time."""
        return Probe(tuple((offered, offered) for _, offered in self.blocks), saturated=False)


_PROBE = TypeAdapter(Probe)


def probe_of(measured: Measured, slo: Slo) -> Probe:
    """What a run that came to its end says. That nothing completed is a finding here, unless it failed: no answer was in
    time."""
    queries = measured.queries
    response_ns = queries.response_ns()
    response_ns.sort()
    of_sender = sender_reasons(queries, _ms_at(response_ns, _HALF, len(response_ns)))
    measurable = len(response_ns) > 0 or queries.count(Status.FAILED) > 0
    reasons = invalid_reasons(queries, of_sender, measured.error_limit) if measurable else of_sender
    return Probe(
        blocks_of(queries, slo.bound_ns),
        saturated(queries, measured.admission),
        fastest_ms=_ms_at(response_ns, Fraction(0), len(response_ns)),
        quantile_ms=_ms_at(response_ns, slo.share, len(queries)),
        late=bool(of_sender),
        invalid_reasons=tuple(reasons),
    )


def cut_probe(offered: int, lost: int, now_ns: int) -> Probe:
    """What a run says that was cut short with `lost` of its queries too late for sure."""
    return Probe(((offered - lost, offered),), saturated=True, cut_ms=now_ns / 1e6)


def judge(probes: Sequence[Probe], slo: Slo, runs: int, *, exact: bool) -> Verdict:
    """What these probes of one rate show, of `runs` that there may be.

    A run that was cut short had lost more than all others together could make up. Else the interval of the attainment
    decides, unless most runs say that the backlog grows: then queries that were in time merely came early. `exact`: the
    first run is like all others.
    """
    growing = sum(probe.saturated for probe in probes)
    most_grow = 2 * growing > len(probes)
    if any(probe.cut_ms is not None for probe in probes) or 2 * growing > (1 if exact else runs):
        return Verdict.OVERLOADED
    found = attainment([block for probe in probes for block in probe.blocks], exact=exact)
    if exact:
        return Verdict.HOLDS if found.met >= slo.share * found.offered else Verdict.MISSES
    if found.high < slo.share:
        return Verdict.OVERLOADED if most_grow else Verdict.MISSES
    return Verdict.HOLDS if found.low >= slo.share and not most_grow else Verdict.OPEN


def settled(probes: Sequence[Probe], slo: Slo, runs: int, *, exact: bool) -> bool:
    """Whether the rest of `runs` can be spared: even if all were perfect, the objective would be missed."""
    rest = [probes[-1].perfect()] * (runs - len(probes))
    return judge([*probes, *rest], slo, runs, exact=exact).fails


class ProbeStore:
    """Probes on the disk, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> Probe | None:
        """The probe of this key; None if there is none.

        Raises:
            ReportError: the file is damaged.
        """
        path = self._path(key)
        if not path.exists():
            return None
        try:
            return _PROBE.validate_python(read_object(path, "a probe of a search"))
        except ValidationError as error:
            raise ReportError(
                f"{path} is not a probe of a search ({error.error_count()} errors): remove it to measure it again"
            ) from error

    def save(self, key: str, probe: Probe, facts: Mapping[str, object]) -> None:
        """Writes a probe; `facts` say to a reader what was run."""
        write_text(self._path(key), pretty({"run": facts, **asdict(probe)}))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _ms_at(sorted_ns: IntArray, share: Fraction, offered: int) -> float | None:
    """The quantile of all offered, of which only those of `sorted_ns` were answered."""
    position = rank(share, offered)
    return int(sorted_ns[position - 1]) / 1e6 if position <= len(sorted_ns) else None
