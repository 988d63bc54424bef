"""Where and on what a report was measured: the machine, the engine, the model's stages, the profile, the config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dvabatch.reporting.canonical import pretty
from dvabatch.reporting.series import is_simulated

from .cells import number
from .markup import NOTHING, Column, Html, code, element, facts, folded, paragraph, section, table

_MOST_FACTS: Final = 200
_LONGEST_CONFIG: Final = 200_000


def environment_section(report: Mapping[str, Any]) -> Html:
    """The machine and installation, the engine, and the model by stages."""
    told = (
        "The runs are simulated: their times follow from the latency table or profile, and not from the machine that simulated"
        " them, which is listed here."
        if is_simulated(report)
        else "The runs were measured on this machine."
    )
    known = list(_flat(report["environment"]))[:_MOST_FACTS]
    machine = (
        facts(known) if known else paragraph("The environment was not recorded: meta.json was not beside the report.")
    )
    return section(
        "environment", "Environment", paragraph(told), machine, *_engine(report), *_model(report), *_profile(report)
    )


def config_section(report: Mapping[str, Any]) -> Html:
    """The resolved config, closed."""
    text = pretty(report["config"])
    if len(text) > _LONGEST_CONFIG:
        text = f"{text[:_LONGEST_CONFIG]}\n… {len(text) - _LONGEST_CONFIG:,} characters more in report.json"
    told = paragraph("As it ran, with every default filled in.")
    box = element("pre", code(text), tabindex=0, role="region", aria_label="the config")
    return section("config", "Config", told, folded("Show the config", box))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Facts by dotted name; what is not known is left out."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from _flat(item, f"{name}.")
        elif item is not None:
            yield _named(name, item)


def _named(name: str, item: Any) -> tuple[str, str]:
    words = name.removeprefix("packages.").replace("_", " ")
    if isinstance(item, bool):
        return words, "yes" if item else "no"
    if name.endswith("_bytes") and isinstance(item, int):
        return words.removesuffix(" bytes"), f"{item / 2**30:.1f} GiB"
    if isinstance(item, list) and any(isinstance(each, Mapping | list) for each in item):
        return words, f"{len(item)} entries, in meta.json"
    if isinstance(item, list):
        return words, ", ".join(str(each) for each in item)
    return words, str(item)


def _engine(report: Mapping[str, Any]) -> list[Html]:
    engine = report["engine"]
    pairs = [
        (key.replace("_", " "), str(engine[key]))
        for key in ("backend", "version", "precision", "max_batch")
        if engine.get(key)
    ]
    return [element("h3", "Engine"), facts(pairs)] if pairs else []


def _model(report: Mapping[str, Any]) -> list[Html]:
    model = report["model"]
    if model is None:
        return []
    columns = [
        Column("stage"),
        Column("nodes"),
        Column("favoured batch"),
        Column("crosses, bytes a row"),
        Column("sha256", numeric=False),
    ]
    rows = [
        [
            str(stage["index"]),
            _count(stage.get("nodes")),
            _count(stage.get("favored_batch")),
            _count(stage.get("crossing_bytes_per_row")),
            code(str(stage.get("sha256") or NOTHING)[:16]),
        ]
        for stage in model["stages"]
    ]
    return [
        element("h3", "Model"),
        facts([("name", model["name"]), ("sha256", code(str(model.get("sha256") or "")))]),
        table(f"Stages of {model['name']}", columns, [(None, rows)]),
    ]


def _profile(report: Mapping[str, Any]) -> list[Html]:
    profile = report["profile"]
    if profile is None or not profile["stages"]:
        return []
    sizes = sorted({int(size) for entry in profile["stages"] for size in entry["latency_ms"]})
    columns = [Column("stage"), Column("lane"), *(Column(f"batch {size}") for size in sizes)]
    rows = [
        [
            str(entry["stage"]),
            NOTHING if entry["lane"] is None else str(entry["lane"]),
            *(number(entry["latency_ms"].get(str(size))) for size in sizes),
        ]
        for entry in profile["stages"]
    ]
    costs = [
        ("capacity", profile.get("capacity_rps"), "queries/s"),
        ("a launch", profile.get("launch_us"), "µs"),
        ("a boundary", profile.get("boundary_us"), "µs"),
        ("a copied row", profile.get("copy_us_per_row"), "µs"),
    ]
    told = facts((name, f"{number(value)} {unit}") for name, value, unit in costs if value is not None)
    shown = table("Milliseconds of a launch, by stage and batch", columns, [(None, rows)])
    return [element("h3", "Profile"), told, folded("Times by stage and batch", shown)]


def _count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"
