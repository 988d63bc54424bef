"""What every section of a config is: a frozen object that refuses unknown keys and checks itself at birth."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, model_validator

from dvabatch_cli.config.error import Finding
from dvabatch_cli.config.paths import render

# A validation context under which sections leave their findings to the caller, who wants all of them at once.
FINDINGS_LATER: Mapping[str, bool] = {"findings_later": True}

# Bounds of what is possible at all, so that a slip of the keyboard is refused here and not by the memory's end.
MAX_REQUESTS = 10_000_000
MAX_RATE_RPS = 10_000_000.0
MAX_SECONDS = 86_400.0
MAX_UTILIZATION = 10.0
MAX_ROWS = 65_536


class Section(BaseModel):
    """Base of all sections. No value is coerced: `"8"` is no number and `1.0` is no whole number."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True, defer_build=False
    )

    def findings(self) -> Iterator[Finding]:
        """What is impossible about this section although each value alone is fine; paths are relative to it."""
        return iter(())

    @model_validator(mode="after")
    def _refuse_findings(self, info: ValidationInfo) -> "Section":
        if not (info.context and info.context.get("findings_later")):
            texts = [f"{render(f.path)}: got {f.came}, wanted {f.wanted}" for f in self.findings()]
            if texts:
                raise ValueError("; ".join(texts))
        return self


def exclusive(section: Section, *names: str, needed: bool = False) -> Iterator[Finding]:
    """Findings unless at most one (with `needed`, exactly one) of the options `names` is given."""
    given = [name for name in names if getattr(section, name) is not None]
    either = " or ".join(names)
    if len(given) > 1:
        yield Finding((given[-1],), f"both {' and '.join(given)}", f"only one of {either}", "remove one of them")
    if needed and not given:
        yield Finding((), f"neither {' nor '.join(names)}", either, "add one of them")


def repeated(values: tuple[Any, ...], name: str) -> Iterator[Finding]:
    """A finding for each value of the list `name` that stands in it before."""
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Finding((name, index), f"{value} a second time", "each value once", "remove it")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a number")
    return value


def _one_or_more(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]})


Count = Annotated[int, Field(ge=1, le=MAX_ROWS)]
Requests = Annotated[int, Field(ge=1, le=MAX_REQUESTS)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
LONGEST_DELAY_US: Final = 60_000_000
Microseconds = Annotated[int, Field(ge=0, le=LONGEST_DELAY_US)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Milliseconds = Annotated[float, Field(gt=0, le=MAX_SECONDS * 1e3)]
Number = Annotated[int | float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Level = Annotated[float, Field(ge=0, le=MAX_RATE_RPS)]
Utilizations = Annotated[
    tuple[Annotated[float, Field(gt=0, le=MAX_UTILIZATION)], ...],
    Field(min_length=1),
    BeforeValidator(_as_tuple),
    _one_or_more({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_UTILIZATION}),
]
Rates = Annotated[
    tuple[Annotated[float, Field(gt=0, le=MAX_RATE_RPS)], ...],
    Field(min_length=1),
    BeforeValidator(_as_tuple),
    _one_or_more({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_RATE_RPS}),
]
