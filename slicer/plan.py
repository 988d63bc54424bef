"""From a model file to a folder of stages, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import onnx

from slicer.axes import batch_first, input_axes, ranks_of, turn_late
from slicer.choose import Plan, Segment, settle
from slicer.cost import candidates, estimates_ns
from slicer.dynamise import free_batch
from slicer.errors import SliceError
from slicer.external import bring_all_in, file_names
from slicer.extract import Piece, extract
from slicer.favor import favored_batch, favored_batches
from slicer.fold import fold
from slicer.folder import MODEL_FILE, publish, take_model, write_batch_first
from slicer.frontier import Cut, Frontier, frontier
from slicer.graph import Graph
from slicer.load import load_model, normalise, sha256_of
from slicer.manifest import VERSION, Manifest, StageSpec, TensorSpec, read_manifest, write_manifest
from slicer.mixing import output_axes, refuse_mixing
from slicer.named import named_cuts
from slicer.options import AUTO, SliceOptions, usable_threads
from slicer.payoff import MOST_STAGES, best_of, offers, said
from slicer.probe import Probe, probe
from slicer.samples import Values, ceilings, free_sizes, rows
from slicer.scratch import scratch
from slicer.segments import time_segments
from slicer.sessions import Session
from slicer.signature import Input, bind_arguments, read_inputs, write_inputs
from slicer.timing import Clock, Link, batch_sizes, shares, time_chain
from slicer.verify import verify

STAGES_S = 4.0  # for timing the stages, one run at each size in any case


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of a model before it is cut."""

    graph: Graph
    inputs: tuple[Input, ...]
    probe: Probe
    frontier: Frontier
    moved: Mapping[str, int]  # inputs and outputs whose batch the source has on another axis than the first
    ranks: Mapping[str, int]  # their numbers of dimensions


def _silent(_: str) -> None:
    return None


def slice_model(model: Path, out: Path, options: SliceOptions, progress: Callable[[str], None] = _silent) -> Manifest:
    """Slice the ONNX file `model` into `options.stages` stages (as many as pay, for "auto") under `out`, and prove that
    they equal it.

    `out` is complete exactly if it has a stages.json, which is written last. `progress` gets one line for each step.
    Raises SliceError: what came, what was wanted, what to do.
    """
    model = model.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with scratch(out) as work:
        outside = take_model(model, work)
        found = analyse(work / MODEL_FILE, options, progress, called=model)
        if options.verify and not found.probe.answers_vary:
            raise SliceError(
                "no answer of the model changes between requests, so comparing stages with it would prove nothing: "
                "give it trained or random weights, or slice without the proof (verify=False) at your own risk"
            )
        if found.moved:
            write_batch_first(work / MODEL_FILE, found.moved, found.ranks)
        cuts = choose_cuts(found, options, progress)
        stages = _write_stages(found, cuts, work, options, progress)
        manifest = Manifest(
            version=VERSION,
            name=model.stem,
            model_file=MODEL_FILE,
            model_sha256=sha256_of(work / MODEL_FILE),
            inputs=_specs(found.graph.inputs, found.probe),
            outputs=_specs(found.graph.outputs, found.probe),
            shapes=dict(options.shapes),
            stages=stages,
            bind=dict(options.bind),
            external={name: sha256_of(work / name) for name in outside},
        )
        del found
        write_manifest(manifest, work)
        if options.verify:
            _prove(work, options, progress)
        publish(work, out, manifest)
    return read_manifest(out)


def analyse(
    model: Path, options: SliceOptions, progress: Callable[[str], None] = _silent, called: Path | None = None
) -> Analysis:
    """Load, fold and probe a model (which messages call `called`), and find where it may be cut.

    A model that keeps weights in files gets another one beside it, with its folded weights.
    """
    threads = usable_threads(options.threads)
    source = load_model(model, called)
    weights = model.parent if file_names(source) else None
    bind_arguments(source, options.bind)
    moved, ranks = input_axes(source, options.batch_axes), ranks_of(source)
    batch_first(source, moved, ranks)
    _say_moved(moved, "takes", progress)
    inputs = read_inputs(source, options.shapes)
    write_inputs(source, inputs)
    before = len(source.graph.node)
    if any(entry.fixed_batch for entry in inputs):
        changed = free_batch(source)
        progress(f"the model takes one row: freed its batch ({changed} reshapes changed)")
    folded = fold(source, threads, progress, weights)
    if moved:
        turn_late(folded, moved)
    graph = Graph(folded, weights)
    del source
    progress(f"folded {before} nodes into {len(graph.nodes)}")
    probed = probe(graph, inputs, threads=threads, seed=options.seed)
    answers = output_axes(graph, probed)
    if answers:
        ranks |= {name: len(probed.tensors[name].shape) for name in answers}
        batch_first(graph.model, answers, ranks)
        _say_moved(answers, "answers", progress)
        graph = Graph(normalise(graph.model), weights)
        probed = probe(graph, inputs, threads=threads, seed=options.seed)
        moved |= answers
    refuse_mixing(graph, probed.tensors)
    if probed.coupled_by:
        progress(
            f"warning: DynamicQuantizeLinear couples the rows of a batch ({', '.join(probed.coupled_by[:3])}, "
            f"{len(probed.coupled_by)} in all): a row's answer changes a little with its neighbours"
        )
    cuts = frontier(graph, probed.tensors)
    progress(f"probed {len(probed.tensors)} tensors: {len(cuts.legal)} legal cuts")
    return Analysis(graph, inputs, probed, cuts, moved, {name: ranks[name] for name in moved})


def choose_cuts(
    found: Analysis, options: SliceOptions, progress: Callable[[str], None] = _silent, now_s: Clock = time.perf_counter
) -> list[Cut]:
    """The cuts of the chosen plan, with the model's two ends. Raises SliceError where it has too few legal cuts."""
    most = len(found.frontier.legal) + 1
    stages = min(MOST_STAGES, most) if options.stages == AUTO else options.stages
    if stages > most:
        raise SliceError(f"{stages} stages were asked, this model has at most {most}: ask for {most} or fewer")
    every = found.frontier.cuts
    if options.cut_behind:
        chosen = named_cuts(found.graph, found.probe.tensors, found.frontier, options.cut_behind)
        return [every[0], *chosen, every[-1]]
    if stages == 1:
        return [every[0], every[-1]]
    graph, tensors = found.graph, found.probe.tensors
    places = candidates(graph, tensors, found.frontier, stages)
    edges = [every[place] for place in (0, *places, len(every) - 1)]
    threads = usable_threads(options.threads)
    row = _row(found, options)
    times = time_segments(graph, tensors, edges, row, options.max_batch, threads, progress, now_s)
    measured = shares(times.latencies_ms)
    favored = favored_batches(times.latencies_ms, measured)
    estimates = estimates_ns(graph, tensors, edges)
    whole_ns = sum(estimates) or 1.0
    segments = [Segment(share, batch) for share, batch in zip(measured, favored, strict=True)]
    estimated = [estimate / whole_ns for estimate in estimates]
    cut_bytes = [every[place].alive_bytes_per_row for place in places]

    def plan_of(stages: int) -> Plan:
        return settle(segments, estimated, cut_bytes, stages, times.noise)

    if options.stages == AUTO:
        offered = offers(times.untaxed_ms, cut_bytes, times.tax, options.boundary_us / 1e3, plan_of)
        best = best_of(offered)
        progress(said(offered, best))
        plan = best.plan
    else:
        plan = plan_of(options.stages)
    progress(
        f"chose {len(plan.cuts)} of {len(places)} candidate cuts; the slowest stage takes {plan.slowest:.0%} of the whole"
    )
    return [every[0], *(every[places[cut]] for cut in plan.cuts), every[-1]]


def _row(found: Analysis, options: SliceOptions) -> Values:
    return rows(found.inputs, ceilings(found.graph), (0,), free_sizes(found.inputs, 0), options.seed)


def _write_stages(
    found: Analysis, cuts: Sequence[Cut], folder: Path, options: SliceOptions, progress: Callable[[str], None]
) -> tuple[StageSpec, ...]:
    threads = usable_threads(options.threads)
    written: list[tuple[Piece, Path]] = []
    links = []
    for index, (begin, end) in enumerate(pairwise(cuts)):
        piece = extract(found.graph, found.probe.tensors, begin, end)
        path = folder / f"stage_{index}.onnx"
        _write_model(piece, path, found.graph.weights)
        written.append((piece, path))
        links.append(Link(Session(path, threads=threads), piece.inputs, end.carried))
    latencies_ms = time_chain(links, _row(found, options), batch_sizes(options.max_batch), STAGES_S).best_ms()
    stages = []
    for index, ((piece, path), end, latency_ms) in enumerate(zip(written, cuts[1:], latencies_ms, strict=True)):
        last = index == len(written) - 1
        stages.append(
            StageSpec(
                index=index,
                file=path.name,
                sha256=sha256_of(path),
                nodes=piece.nodes,
                parameters=piece.parameters,
                inputs=_specs(piece.inputs, found.probe),
                outputs=_specs(piece.outputs, found.probe),
                crossing_bytes_per_row=0 if last else end.alive_bytes_per_row,
                latency_ms={size: round(latency, 6) for size, latency in latency_ms.items()},
                favored_batch=favored_batch(latency_ms),
            )
        )
        progress(f"stage {index}: {piece.nodes} nodes, {latency_ms[1]:.2f} ms a row")
    return tuple(stages)


def _say_moved(axes: Mapping[str, int], does: str, progress: Callable[[str], None]) -> None:
    for name, axis in axes.items():
        progress(f"the model {does} {name!r} with its batch on axis {axis}: its stages have it in front")


def _write_model(piece: Piece, path: Path, weights: Path | None) -> None:
    if weights is not None:
        bring_all_in(piece.model, weights)
    onnx.checker.check_model(piece.model, skip_opset_compatibility_check=True)
    path.write_bytes(piece.model.SerializeToString())


def _specs(names: Sequence[str], probed: Probe) -> tuple[TensorSpec, ...]:
    tensors = (probed.tensors[name] for name in names)
    return tuple(TensorSpec(tensor.name, tensor.dtype, tensor.dims) for tensor in tensors)


def _prove(folder: Path, options: SliceOptions, progress: Callable[[str], None]) -> None:
    result = verify(folder, seed=options.seed, threads=options.threads)
    if not result.passed:
        raise SliceError(
            f"the stages are not proved equal to the model: {'; '.join(result.failures)}: nothing was written; "
            "check the model's own answers, or slice without the proof (verify=False) at your own risk"
        )
    progress(
        f"proved: {result.compared} tensors within {result.max_rel_error:.1e} of the whole model, "
        f"{result.regroup_error:.1e} when batches are regrouped"
    )
