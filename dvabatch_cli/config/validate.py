"""From raw values to a Config, or to one error with all that is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dvabatch_cli.config.checks import Parts
from dvabatch_cli.config.config import Config
from dvabatch_cli.config.document import Document
from dvabatch_cli.config.engine import ChecksSection, EngineSection, SlicingSection
from dvabatch_cli.config.error import ConfigError, Problem
from dvabatch_cli.config.explain import explain
from dvabatch_cli.config.faults import AnyFault, FaultSection
from dvabatch_cli.config.fill import filled
from dvabatch_cli.config.load import AnyLoad, LoadSection
from dvabatch_cli.config.model import InputSection, ModelSection, NetworkModel, OnnxModel
from dvabatch_cli.config.policies import AnyPolicy, PolicySection
from dvabatch_cli.config.section import FINDINGS_LATER

_MODEL: TypeAdapter[NetworkModel | OnnxModel] = TypeAdapter(ModelSection)
_POLICY: TypeAdapter[AnyPolicy] = TypeAdapter(PolicySection)
_LOAD: TypeAdapter[AnyLoad] = TypeAdapter(LoadSection)
_INPUT = TypeAdapter(InputSection)
_SLICING = TypeAdapter(SlicingSection)
_ENGINE = TypeAdapter(EngineSection)
_CHECKS = TypeAdapter(ChecksSection)
_FAULT: TypeAdapter[AnyFault] = TypeAdapter(FaultSection)


def build(document: Document, folder: Path, *, given: bool = False) -> Config:
    """The config in `document`, its paths relative to `folder`; `given`: a file that may come from anywhere, whose paths must
    stay in there. Raises ConfigError with every problem found."""
    raw = filled(document.raw)
    try:
        config = Config.model_validate(raw, context=dict(FINDINGS_LATER)).in_folder(folder)
    except ValidationError as error:
        problems = [found for each in error.errors(include_url=False) if (found := explain(each, raw, document))]
        parts = _well_formed(raw)
    else:
        problems, parts = [], config.parts()
    findings = (*parts.section_findings(), *parts.cross_findings(), *parts.file_findings(folder))
    if given:
        findings = (*findings, *parts.path_findings(document.overrides))
    problems += map(document.problem, findings)
    if problems:
        raise ConfigError(sorted(dict.fromkeys(problems), key=_line))
    return config


def _line(problem: Problem) -> int:
    """Problems of the file come in its order, those of options before them."""
    line = problem.source.rpartition(":")[2]
    return int(line) if line.isdecimal() and not problem.source.startswith("--") else 0


def _well_formed(raw: Any) -> Parts:
    """What can be used of a document in which something is malformed."""
    if not isinstance(raw, dict):
        return Parts()
    inputs, policies, faults = raw.get("inputs", {}), raw.get("policies", ()), raw.get("faults", ())
    return Parts(
        model=_section(_MODEL, raw.get("model")),
        model_given=raw.get("model") is not None,
        inputs=_sections(_INPUT, inputs if isinstance(inputs, dict) else {}),
        slicing=_section(_SLICING, raw.get("slicing", {})),
        engine=_section(_ENGINE, raw.get("engine", {})),
        policies=_sections(_POLICY, dict(enumerate(policies)) if isinstance(policies, tuple) else {}),
        load=_section(_LOAD, raw.get("load")),
        checks=_section(_CHECKS, raw.get("checks", {})),
        faults=_sections(_FAULT, dict(enumerate(faults)) if isinstance(faults, tuple) else {}),
    )


def _section(adapter: TypeAdapter[Any], raw: Any) -> Any:
    """The section, or None where it is malformed: the validation of the whole has said how."""
    try:
        return adapter.validate_python(raw, context=dict(FINDINGS_LATER))
    except ValidationError:
        return None


def _sections(adapter: TypeAdapter[Any], raw: Mapping[Any, Any]) -> dict[Any, Any]:
    found = {name: _section(adapter, each) for name, each in raw.items()}
    return {name: section for name, section in found.items() if section is not None}
