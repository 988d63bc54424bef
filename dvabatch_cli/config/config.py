"""The whole config of one experiment."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from dvabatch_cli.config.checks import Parts
from dvabatch_cli.config.engine import ChecksSection, EngineSection, SlicingSection, SloSection
from dvabatch_cli.config.error import Finding
from dvabatch_cli.config.faults import Faults
from dvabatch_cli.config.fill import filled
from dvabatch_cli.config.load import LoadSection, ReplayLoad
from dvabatch_cli.config.model import InputSection, ModelSection, OnnxModel
from dvabatch_cli.config.policies import PolicySection
from dvabatch_cli.config.quick import quick_raw
from dvabatch_cli.config.section import Section

# A folder of this name is made: no separator, no "..", nothing hidden, nothing that an option could be taken for.
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$"

Baseline = Literal["untuned", "swept"]


def _folder_name(name: str) -> str:
    if not re.fullmatch(_NAME[1:-1], name):
        raise ValueError("a plain folder name of at most 100 letters, digits and _ . + -, the first a letter or digit")
    return name


def _each_once(baselines: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(baselines)) < len(baselines):
        raise ValueError("each baseline once")
    return baselines


class Config(Section):
    """One experiment. Every default is filled in; `resolved()` shows all of it."""

    # Forgotten as soon as it is checked: it says nothing about the experiment.
    schema_: Annotated[str | None, AfterValidator(lambda _: None), Field(alias="$schema", exclude=True)] = None
    """The JSON Schema of this file, for editors; without effect."""
    name: Annotated[str, AfterValidator(_folder_name), Field(json_schema_extra={"pattern": _NAME})]
    """Name of the experiment and of its folder of results."""
    model: ModelSection | None = None
    """What is served; the backend table needs none."""
    inputs: Annotated[dict[str, InputSection], Field(default_factory=dict)]
    """Payloads of the model's inputs, by name; random by type where an input is not listed."""
    slicing: SlicingSection = SlicingSection()
    """How the model is cut."""
    engine: EngineSection = EngineSection()
    """What runs the stages."""
    policies: Annotated[tuple[PolicySection, ...], Field(min_length=1)]
    """What is compared."""
    baselines: Annotated[tuple[Baseline, ...], AfterValidator(_each_once)] = ("untuned", "swept")
    """What the policies are compared with."""
    load: LoadSection
    """Which queries arrive, when, and how many."""
    slo: SloSection | None = None
    """The service level objective."""
    checks: ChecksSection = ChecksSection()
    """How answers are checked."""
    faults: Faults = ()
    """What goes wrong on purpose."""

    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, raw: Any) -> Any:
        return filled(raw)

    def findings(self) -> Iterator[Finding]:
        return self.parts().cross_findings()

    @property
    def folder(self) -> Path:
        """The folder that the config's paths are relative to."""
        return self._folder

    @property
    def lanes(self) -> tuple[int, ...]:
        """All sequence lengths that a policy has a lane for, the shortest first; empty without lengths."""
        return tuple(sorted({length for policy in self.policies for length in policy.preferred_seq_len or ()}))

    @property
    def onnx_path(self) -> Path | None:
        """The model's file; None for a network that dvabatch writes, and without a model."""
        return self._folder / self.model.onnx if isinstance(self.model, OnnxModel) else None

    @property
    def table_path(self) -> Path | None:
        """The latency table of the backend table."""
        return None if self.engine.table is None else self._folder / self.engine.table

    @property
    def replay_path(self) -> Path | None:
        """The recording that a replay load sends again."""
        return self._folder / self.load.file if isinstance(self.load, ReplayLoad) else None

    @property
    def input_paths(self) -> dict[str, Path]:
        """The payload files, by input."""
        return {name: self._folder / each.file for name, each in self.inputs.items() if each.file is not None}

    def in_folder(self, folder: Path) -> "Config":
        """The same config with its paths relative to `folder`."""
        config = self.model_copy()
        config._folder = folder
        return config

    def resolved(self) -> dict[str, Any]:
        """All values as JSON, defaults filled in, paths as written; a config of them equals this one."""
        return self.model_dump(mode="json", by_alias=True)

    def quick(self) -> "Config":
        """The same experiment made small, under a name of its own: see `quick_raw`."""
        return Config.model_validate(quick_raw(self.resolved())).in_folder(self._folder)

    def parts(self) -> Parts:
        """The sections, for the checks that look at several of them."""
        return Parts(
            model=self.model,
            model_given=self.model is not None,
            inputs=self.inputs,
            slicing=self.slicing,
            engine=self.engine,
            policies=dict(enumerate(self.policies)),
            load=self.load,
            checks=self.checks,
            faults=dict(enumerate(self.faults)),
        )
