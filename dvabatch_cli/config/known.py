"""Which names are known at a place in a config, for messages about those that are not."""

from collections.abc import Mapping
from typing import Any

from dvabatch_cli.config.config import Config
from dvabatch_cli.config.engine import ChecksSection, EngineSection, SlicingSection, SloSection
from dvabatch_cli.config.faults import FAULTS
from dvabatch_cli.config.lengths import LENGTHS
from dvabatch_cli.config.load import LOADS
from dvabatch_cli.config.model import MODELS, InputSection, model_kind
from dvabatch_cli.config.paths import Path
from dvabatch_cli.config.policies import POLICIES, AutoSetting
from dvabatch_cli.config.section import Section

_PLAIN: Mapping[str, type[Section]] = {
    "slicing": SlicingSection,
    "engine": EngineSection,
    "slo": SloSection,
    "checks": ChecksSection,
}


def family(path: Path) -> tuple[str, Mapping[str, type[Section]]] | None:
    """Where the section at `path` is one of several kinds: the key that tells which, and the kinds by its value."""
    match path:
        case ("policies", int()):
            return "scheduler_type", POLICIES
        case ("load",):
            return "process", LOADS
        case ("load", "lengths"):
            return "distribution", LENGTHS
        case ("faults", int()):
            return "kind", FAULTS
        case ("model",):
            return "", MODELS
    return None


def known_names(path: Path, section: Any) -> tuple[str, ...]:
    """The names that the raw `section` at `path` may have; empty where any is fine or its kind is not known."""
    found = _section_type(path, section)
    return () if found is None else tuple(field.alias or name for name, field in found.model_fields.items())


def kinds_with(path: Path, name: str) -> tuple[str, ...]:
    """The kinds of section at `path` that know `name`: it may only stand in the wrong one."""
    found = family(path)
    if found is None:
        return ()
    return tuple(
        kind for kind, each in found[1].items() if name in (f.alias or n for n, f in each.model_fields.items())
    )


def _section_type(path: Path, section: Any) -> type[Section] | None:
    found = family(path)
    if found is not None:
        key, kinds = found
        kind = model_kind(section) if kinds is MODELS else section.get(key) if isinstance(section, dict) else None
        return kinds.get(kind) if isinstance(kind, str) else None
    match path:
        case ():
            return Config
        case ("policies", int(), "settings", int()):
            return AutoSetting
        case ("inputs", str()):
            return InputSection
        case (str() as name,):
            return _PLAIN.get(name)
    return None
