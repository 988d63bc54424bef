"""What is impossible about a config although each of its sections alone is fine."""

import shlex
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from dvabatch_cli.config.engine import AUTO, ChecksSection, EngineSection, SlicingSection
from dvabatch_cli.config.error import Finding, shown
from dvabatch_cli.config.faults import FAILING, DeadlineFault, FaultOptions, LaunchFault, SlowFault
from dvabatch_cli.config.load import LoadOptions, ReplayLoad
from dvabatch_cli.config.model import InputSection, NetworkModel, OnnxModel
from dvabatch_cli.config.paths import prefixes, render
from dvabatch_cli.config.policies import (
    AutoOptions,
    EntryOptions,
    FavorOptions,
    InputDvaOptions,
    MergeOptions,
    PolicyOptions,
)
from dvabatch_cli.config.section import Section
from dvabatch_cli.config.suggest import did_you_mean, listed


@dataclass(frozen=True, slots=True)
class Parts:
    """The sections of a config that are well formed.

    None stands for a section that is malformed (`model` also for one that is not given: `model_given` tells); a
    malformed policy or input is left out.
    """

    model: NetworkModel | OnnxModel | None = None
    model_given: bool = False
    inputs: Mapping[str, InputSection] = field(default_factory=dict)
    slicing: SlicingSection | None = None
    engine: EngineSection | None = None
    policies: Mapping[int, PolicyOptions] = field(default_factory=dict)
    load: LoadOptions | None = None
    checks: ChecksSection | None = None
    faults: Mapping[int, FaultOptions] = field(default_factory=dict)

    @property
    def stages(self) -> int | None:
        """Their number; None where it is malformed, or not known before the model is cut."""
        return None if self.slicing is None or self.slicing.stages == AUTO else self.slicing.stages

    def section_findings(self) -> Iterator[Finding]:
        """What each section finds about itself."""
        for name, section in (
            ("model", self.model),
            ("slicing", self.slicing),
            ("engine", self.engine),
            ("load", self.load),
        ):
            if section is not None:
                yield from (finding.under(name) for finding in section.findings())
        for name, each in self.inputs.items():
            yield from (finding.under("inputs", name) for finding in each.findings())
        for index, policy in self.policies.items():
            yield from (finding.under("policies", index) for finding in policy.findings())
        for index, fault in self.faults.items():
            yield from (finding.under("faults", index) for finding in fault.findings())

    def cross_findings(self) -> Iterator[Finding]:
        """What concerns more than one section."""
        if self.engine is not None and self.engine.backend != "table" and not self.model_given:
            hint = 'add "model", or set engine.backend to "table"'
            yield Finding((), "no model", f'a model for the backend "{self.engine.backend}"', hint)
        if (
            self.engine is not None
            and self.engine.backend == "table"
            and self.slicing is not None
            and self.slicing.cut_behind
        ):
            hint = "remove slicing.cut_behind: a latency table has its own stages"
            yield Finding(("slicing", "cut_behind"), "cuts of a model", 'none for the backend "table"', hint)
        yield from self._masks()
        yield from self._names()
        yield from self._same_lanes()
        yield from self._faults()
        for index, policy in self.policies.items():
            for finding in (*self._limits(policy), *self._favors(policy), *self._lanes(policy), *self._drops(policy)):
                yield finding.under("policies", index)

    def file_findings(self, folder: Path) -> Iterator[Finding]:
        """A finding for each file that is named and that `folder` does not lead to."""
        for path, text in self._files():
            if not _is_file(folder, text):
                hint = f"paths are relative to the config's folder, {folder}"
                yield Finding(path, shown(text), "an existing file", hint)

    def path_findings(self, typed: Container[tuple[str | int, ...]]) -> Iterator[Finding]:
        """A finding for each file that is named and lies outside the config's folder: a config that somebody gave away must not
        lead to the files of whoever runs it. What was `typed` on the command line may lie anywhere."""
        for path, text in self._files():
            if _leaves(text) and not any(prefix in typed for prefix in prefixes(path)):
                hint = f"put it there, or name it on the command line: --set {render(path)}={shlex.quote(text)}"
                yield Finding(path, shown(text), "a path that stays in the config's folder", hint)

    def _files(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if isinstance(self.model, OnnxModel):
            yield ("model", "onnx"), self.model.onnx
        if self.engine is not None and self.engine.table is not None:
            yield ("engine", "table"), self.engine.table
        if isinstance(self.load, ReplayLoad):
            yield ("load", "file"), self.load.file
        for name, section in self.inputs.items():
            if section.file is not None:
                yield ("inputs", name, "file"), section.file

    def _masks(self) -> Iterator[Finding]:
        for name, section in self.inputs.items():
            known = [other for other in self.inputs if other != name]
            if section.mask_of is not None and section.mask_of not in known:
                hint = did_you_mean(section.mask_of, known) or "inputs must list it, if only as {}"
                wanted = listed(known) if known else "another input that stands in inputs"
                yield Finding(("inputs", name, "mask_of"), shown(section.mask_of), wanted, hint)

    def _names(self) -> Iterator[Finding]:
        seen: dict[str, int] = {}
        for index, policy in self.policies.items():
            if policy.name in seen:
                came = f"{shown(policy.name)}, the name of policies[{seen[policy.name]}]"
                yield Finding(("policies", index, "name"), came, "a name of its own")
            seen.setdefault(policy.name, index)

    def _same_lanes(self) -> Iterator[Finding]:
        """One profile and one set of buffers serve all policies of a config, and so do its lanes."""
        lanes = {index: policy.preferred_seq_len for index, policy in self.policies.items() if policy.preferred_seq_len}
        for index, lengths in lanes.items():
            first = next(iter(lanes))
            if lengths != lanes[first]:
                wanted = f"the lengths of policies[{first}], {shown(lanes[first])}, or none"
                yield Finding(("policies", index, "preferred_seq_len"), shown(lengths), wanted)

    def _faults(self) -> Iterator[Finding]:
        """Stages that there are, and queries that fail on purpose: how many may, a config says itself."""
        for index, fault in self.faults.items():
            if isinstance(fault, (SlowFault, LaunchFault)) and self.stages is not None and fault.stage >= self.stages:
                wanted = f"at most slicing.stages - 1 ({self.stages - 1})"
                yield Finding(("faults", index, "stage"), shown(fault.stage), wanted, "stages are counted from 0")
        failing = [fault.kind for fault in self.faults.values() if isinstance(fault, FAILING)]
        if failing and self.checks is not None and self.checks.error_limit == 0:
            wanted = "the share of the queries that may fail in a valid run, above 0"
            hint = f"faults of the kind {failing[0]} make queries fail, and a run in which too many do is invalid"
            yield Finding(("checks", "error_limit"), "0", wanted, hint)

    def _drops(self, policy: PolicyOptions) -> Iterator[Finding]:
        hurried = any(isinstance(fault, DeadlineFault) for fault in self.faults.values())
        if policy.drop_late and self.load is not None and self.load.deadline_ms is None and not hurried:
            yield Finding(("drop_late",), "drop_late for queries without a deadline", "load.deadline_ms beside it")

    def _limits(self, policy: PolicyOptions) -> Iterator[Finding]:
        merging = isinstance(policy, MergeOptions)
        if self.engine is not None:
            yield from _at_most(policy, "max_batch_size", self.engine.max_batch, "engine.max_batch")
            if isinstance(policy, EntryOptions):
                yield from _at_most(policy, "instances", self.engine.executors_per_stage, "engine.executors_per_stage")
                yield from _at_most(policy, "instances", self.engine.buffer_set_size, "engine.buffer_set_size")
            if merging:
                yield from _at_most(policy, "max_allow_merge_batchsize", self.engine.max_batch, "engine.max_batch")
            if isinstance(policy, AutoOptions):
                yield from self._settings(policy, self.engine)
        if self.stages is not None and merging:
            yield from _at_most(policy, "max_allow_merge_stage", self.stages - 1, "slicing.stages", less=1)

    @staticmethod
    def _settings(policy: AutoOptions, engine: EngineSection) -> Iterator[Finding]:
        """Each setting of an AUTO is bound by the engine as a policy of its own would be."""
        bounds = (
            ("max_batch_size", engine.max_batch, "engine.max_batch"),
            ("instances", engine.executors_per_stage, "engine.executors_per_stage"),
            ("instances", engine.buffer_set_size, "engine.buffer_set_size"),
        )
        for index, setting in enumerate(policy.settings or ()):
            for bound in bounds:
                yield from (finding.under("settings", index) for finding in _at_most(setting, *bound))
            if setting.ahead and setting.instances != 1:
                yield Finding(("settings", index, "instances"), f"{setting.instances} with ahead", "1")
            if setting.ahead and (setting.in_room or setting.catching_up):
                beside = "in_room" if setting.in_room else "catching_up"
                yield Finding(("settings", index, "ahead"), f"true with {beside}", "one of them")

    def _favors(self, policy: PolicyOptions) -> Iterator[Finding]:
        favors = policy.favor_per_stage if isinstance(policy, FavorOptions) else None
        if favors is None:
            return
        if self.stages is not None and len(favors) != self.stages:
            came, wanted = f"{len(favors)} values", f"one for each of slicing.stages ({self.stages})"
            yield Finding(("favor_per_stage",), came, wanted)
        for stage, favor in enumerate(favors):
            if self.engine is not None and favor > self.engine.max_batch:
                wanted = f"at most engine.max_batch ({self.engine.max_batch})"
                yield Finding(("favor_per_stage", stage), shown(favor), wanted)

    def _lanes(self, policy: PolicyOptions) -> Iterator[Finding]:
        if policy.preferred_seq_len is None and isinstance(policy, InputDvaOptions):
            yield Finding((), "INPUT_DVA without preferred_seq_len", "the lengths of its lanes in preferred_seq_len")
        if self.load is None:
            return
        if policy.preferred_seq_len is None and self.load.lengths is not None:
            hint = "a policy that names none takes those of the others"
            yield Finding((), "load.lengths and no lanes", "preferred_seq_len in one policy at least", hint)
        recorded = isinstance(self.load, ReplayLoad)  # a recording may have lengths of its own
        if policy.preferred_seq_len is not None and self.load.lengths is None and not recorded:
            hint = "add load.lengths, or remove preferred_seq_len"
            yield Finding(("preferred_seq_len",), "lanes for queries without a length", "load.lengths beside it", hint)


def _is_file(folder: Path, text: str) -> bool:
    try:
        return "\0" not in text and (folder / text).is_file()
    except OSError:  # longer than any name can be
        return False


def _leaves(text: str) -> bool:
    path = PurePath(text)
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return path.is_absolute()


def _at_most(policy: Section, name: str, limit: int, option: str, *, less: int = 0) -> Iterator[Finding]:
    value = getattr(policy, name)
    if value is not None and value > limit:
        called = f"{option} - {less}" if less else option
        yield Finding((name,), shown(value), f"at most {called} ({limit})", f"lower it or raise {option}")
