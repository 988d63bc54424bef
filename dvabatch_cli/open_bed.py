"""Opens what a bed measures on: built engines on this host or on a GPU, or the stages of a latency table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from dvabatch.batching.limits import Limits
from dvabatch.batching.profile import Profile
from dvabatch.runtime.service import free_axes
from dvabatch.runtime.shapes import lay_out
from dvabatch.runtime.table import table_stages
from dvabatch.runtime.tensors import TensorTable
from dvabatch.runtime.warming import warmed
from dvabatch_cli.answers import TableReference, WholeModel
from dvabatch_cli.clock_notes import kept_clock_notes
from dvabatch_cli.config import Config
from dvabatch_cli.gpu import PreparedGpu, open_launcher
from dvabatch_cli.gpu_watch import open_watch
from dvabatch_cli.rows import PooledRows, Rows, TokenRows
from dvabatch_cli.sites import GpuSite, HostSite
from dvabatch_cli.testbed import RealBed
from dvabatch_cli.wiring import limits_of
from dvabatch_cli.workspace import Prepared, awake, examples_of
from engines.base import StageEngine
from engines.cuda import CudaDevice, first_bus_id

Say = Callable[[str], None]


@contextmanager
def open_real_bed(config: Config, profile: Profile, prepared: Prepared | None, say: Say) -> Iterator[RealBed]:
    """A bed on built engines, or on a latency table where there is no model."""
    limits = limits_of(config, profile.stages)
    with ExitStack() as opened:
        if config.engine.keep_awake:
            opened.enter_context(awake(say))
        if prepared is None:
            _, tables = table_stages(profile, limits.max_batch)
            free = {"answer": free_axes(tables[-1].outputs[0])}
            tabled = _host_site(list(tables), limits, TokenRows(), list(free), profile)
            yield RealBed(
                config,
                profile,
                tabled,
                TokenRows(),
                TableReference(profile.stages),
                free,
                config.checks.tolerance_on("table", "none"),
            )
            return
        rows = PooledRows(config, prepared)
        whole = opened.enter_context(prepared.open_reference())
        reference = WholeModel(whole.infer, rows.row, rows.pool_rows)
        outputs = {tensor.name: free_axes(tensor) for tensor in prepared.manifest.outputs}
        tolerance = config.checks.tolerance_on(prepared.backend, prepared.precision)
        if isinstance(prepared, PreparedGpu):
            device = opened.enter_context(CudaDevice())
            examples = examples_of(limits, lambda length: rows.row(0, length))
            launcher, table = opened.enter_context(open_launcher(prepared, limits, examples, device))
            rows.pin(launcher.pin)
            for step in warmed(launcher, limits):
                say(step)
            watch = opened.enter_context(open_watch())
            notes = None if watch is None else opened.enter_context(kept_clock_notes(say, first_bus_id()))
            yield RealBed(
                config, profile, GpuSite(launcher, table, profile), rows, reference, outputs, tolerance, watch, notes
            )
            return
        stages: list[StageEngine] = [
            opened.enter_context(prepared.open_stage(index, limits.max_batch)) for index in range(limits.stages)
        ]
        site = _host_site(stages, limits, rows, list(outputs), profile)
        yield RealBed(config, profile, site, rows, reference, outputs, tolerance)


def _host_site(stages: list[StageEngine], limits: Limits, rows: Rows, outputs: list[str], profile: Profile) -> HostSite:
    examples = examples_of(limits, lambda length: rows.row(0, length))
    table = TensorTable(lay_out(stages, examples, outputs), limits.buffer_sets, limits.max_batch)
    return HostSite(stages, table, examples, limits, profile)
