"""The proof of a slice: the stages in a chain against the whole model, on requests that make a difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from slicer.checked import check_stages
from slicer.errors import SliceError
from slicer.external import file_names
from slicer.graph import Graph
from slicer.load import load_model
from slicer.manifest import Manifest
from slicer.options import usable_threads
from slicer.samples import Array, Values, ceilings, free_sizes, rows
from slicer.sessions import RUNTIME_ERRORS, Session, first_line
from slicer.signature import Input, bind_arguments, read_inputs

COUPLING = "DynamicQuantizeLinear"
_HUGE = 1e30  # attention masks write -inf or the type's lowest value; such entries must be equal, and set no scale


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. Errors are the largest difference of a tensor over its largest magnitude.

    `max_rel_error` compares the chain with the whole model at every boundary tensor and answer; `regroup_error`
    compares answers after batches were split, reordered and merged between stages; `sensitivity` says by how much
    each answer differs between requests (a model that always answers the same proves nothing).
    `unmatched` lists boundary tensors that folding made and the source model does not have: they are checked
    through the answers only. `coupled_by` names nodes whose quantisation couples the rows of a batch: with any,
    `regroup_error` is reported and not judged.
    """

    tolerance: float
    max_rel_error: float
    worst_tensor: str
    regroup_error: float
    sensitivity: dict[str, float]
    compared: int
    unmatched: tuple[str, ...]
    coupled_by: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def verify(
    directory: Path,
    *,
    batches: Sequence[int] = (1, 3, 8),
    tolerance: float = 1e-4,
    seed: int = 0,
    threads: int = 0,
) -> Verification:
    """Compare the stages in `directory` with the model beside them. One session is open at a time.

    Raises ManifestError where a file is missing or is not the one that was sliced; differences are answered.
    """
    if not batches or min(batches) < 1:
        raise SliceError(f"batches is {tuple(batches)}, wanted sizes of 1 or more")
    manifest = check_stages(directory).manifest
    threads = usable_threads(threads)
    reference = _Reference(manifest, directory)
    # Odd runs take other sizes for the free dimensions, so that none of them is baked in unnoticed.
    runs = [reference.requests(size, number % 2, seed) for number, size in enumerate(batches)]
    largest = max(range(len(batches)), key=lambda number: batches[number])
    names = [spec.name for stage in manifest.stages for spec in stage.outputs]
    wanted, unmatched = reference.answers(runs, names, threads)
    chained = [dict(run) for run in runs]
    regrouped = dict(runs[largest])
    _run_stages(manifest, directory, [*chained, regrouped], threads, seed)
    return _judge(manifest, chained, wanted, (regrouped, wanted[largest]), unmatched, reference.coupled_by, tolerance)


class _Reference:
    """The source model, with the shapes and arguments of the slice."""

    def __init__(self, manifest: Manifest, directory: Path) -> None:
        self._folder = directory
        self._model = load_model(directory / manifest.model_file)
        bind_arguments(self._model, manifest.bind)
        self.inputs: tuple[Input, ...] = read_inputs(self._model, manifest.shapes)
        self.one_row = any(entry.fixed_batch for entry in self.inputs)
        graph = Graph(self._model)
        self._ceilings = ceilings(graph)
        self._written = set(graph.writer)
        self._outside = bool(file_names(self._model))
        self.coupled_by = tuple(node.name for node in graph.nodes if node.op == COUPLING)

    def requests(self, size: int, variant: int, seed: int) -> Values:
        return rows(self.inputs, self._ceilings, range(size), free_sizes(self.inputs, variant), seed)

    def answers(
        self, runs: Sequence[Values], names: Sequence[str], threads: int
    ) -> tuple[list[Values], tuple[str, ...]]:
        """What the whole model gives for `names`, and those of them it does not have."""
        present = [value.name for value in self._model.graph.output]
        extra = [name for name in names if name in self._written and name not in present]
        self._model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in extra)
        data = self._model.SerializeToString()
        del self._model  # three copies of the weights would lie in memory otherwise
        session = Session(data, threads=threads, weights=self._folder if self._outside else None)
        del data
        found = [self._run(session, run) for run in runs]
        return found, tuple(name for name in names if name not in self._written)

    def _run(self, session: Session, run: Values) -> Values:
        if not self.one_row:
            return session.run(run)
        size = len(next(iter(run.values())))
        parts = [session.run({name: value[at : at + 1] for name, value in run.items()}) for at in range(size)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _run_stages(manifest: Manifest, directory: Path, tables: Sequence[Values], threads: int, seed: int) -> None:
    """Run every stage on every table; the last table's batch is split, reordered and merged at every second stage."""
    order = np.random.default_rng(seed)
    last_read = {spec.name: stage.index for stage in manifest.stages for spec in stage.inputs}
    for stage in manifest.stages:
        session = Session(directory / stage.file, threads=threads)
        names = [spec.name for spec in stage.inputs]
        for number, table in enumerate(tables):
            feeds = {name: table[name] for name in names}
            regroup = number == len(tables) - 1 and (stage.index % 2 == 1 or len(manifest.stages) == 1)
            try:
                table.update(_in_parts(session, feeds, order) if regroup else session.run(feeds))
            except RUNTIME_ERRORS as error:
                raise SliceError(
                    f"{stage.file} fails on a batch of {len(next(iter(feeds.values())))}: {first_line(error)}: "
                    "this is a defect of the slicer, please report the model"
                ) from error
        del session
        # The regrouped rows are compared at the end only.
        kept = {spec.name for spec in manifest.outputs}
        for name in [name for name in tables[-1] if last_read.get(name, -1) <= stage.index and name not in kept]:
            del tables[-1][name]


def _in_parts(session: Session, feeds: Mapping[str, Array], order: np.random.Generator) -> Values:
    """Rows shuffled, run as two batches (8 as 3 and 5), and put back where they belong."""
    size = len(next(iter(feeds.values())))
    shuffled = order.permutation(size)
    middle = size * 3 // 8
    merged: Values = {}
    for part in (shuffled[:middle], shuffled[middle:]):
        if not len(part):
            continue
        for name, value in session.run({name: value[part] for name, value in feeds.items()}).items():
            if name not in merged:
                merged[name] = np.empty((size, *value.shape[1:]), value.dtype)
            merged[name][part] = value
    return merged


def _judge(
    manifest: Manifest,
    chained: Sequence[Values],
    wanted: Sequence[Values],
    regrouped: tuple[Values, Values],
    unmatched: tuple[str, ...],
    coupled_by: tuple[str, ...],
    tolerance: float,
) -> Verification:
    answers = [spec.name for spec in manifest.outputs]
    failures: list[str] = []
    worst, worst_tensor, compared = 0.0, "", 0
    for mine, reference in zip(chained, wanted, strict=True):
        for name, value in reference.items():
            if name not in mine:
                failures.append(f"answer {name!r} is written by no stage")
                continue
            compared += 1
            error = relative_error(value, mine[name])
            if not error <= worst:
                worst, worst_tensor = error, name
    if not worst <= tolerance:
        failures.append(f"{worst_tensor!r} differs from the whole model by {worst:.3g}, wanted at most {tolerance:.3g}")
    regroup_error = 0.0
    for name in answers:
        if not all(np.all(np.isfinite(run[name])) for run in wanted):
            failures.append(f"the whole model's answer {name!r} is not finite on random requests")
        error = relative_error(regrouped[1][name], regrouped[0][name])
        regroup_error = error if not error <= regroup_error else regroup_error
    if not regroup_error <= tolerance and not coupled_by:
        failures.append(f"answers change by {regroup_error:.3g} when batches are regrouped, wanted {tolerance:.3g}")
    sensitivity = {name: max(_spread(run[name]) for run in wanted) for name in answers}
    if max((len(run[answers[0]]) for run in wanted), default=0) > 1 and not max(sensitivity.values()) > 10 * tolerance:
        failures.append(
            f"no answer changes by more than {max(sensitivity.values()):.3g} between requests, wanted more than ten "
            "times the tolerance: the comparison would prove nothing"
        )
    return Verification(
        tolerance, worst, worst_tensor, regroup_error, sensitivity, compared, unmatched, coupled_by, tuple(failures)
    )


def relative_error(wanted: Array, found: Array) -> float:
    """The largest difference over the largest magnitude; infinite for NaN and for other shapes or types.

    Infinities and values as large as a mask's must be equal and set no scale. Integers and booleans differ by 0 or inf.
    """
    if wanted.shape != found.shape or wanted.dtype != found.dtype or wanted.size == 0:
        return 0.0 if wanted.shape == found.shape and wanted.dtype == found.dtype else float("inf")
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(wanted, found) else float("inf")
    if np.isnan(wanted).any() or np.isnan(found).any():
        return float("inf")
    huge = np.abs(wanted) > _HUGE
    if not np.array_equal(wanted[huge], found[huge]):
        return float("inf")
    scale = float(np.max(np.abs(wanted), where=~huge, initial=0.0))
    apart = np.where(huge, 0.0, np.abs(np.where(huge, 0, found).astype(np.float64) - np.where(huge, 0, wanted)))
    return float(apart.max()) / max(scale, float(np.finfo(np.float32).tiny))


def _spread(value: Array) -> float:
    """By how much the rows differ from the first one, over the largest magnitude."""
    numbers = np.nan_to_num(value.astype(np.float64))
    scale = float(np.abs(numbers).max(initial=0.0))
    return float(np.abs(numbers - numbers[:1]).max(initial=0.0)) / scale if scale else 0.0
