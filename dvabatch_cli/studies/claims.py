"""The claims of configs/claims.json: which metric of which figure has to be how large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import Field, ValidationError

from dvabatch_cli.config.document import Document, read_document
from dvabatch_cli.config.error import ConfigError, Finding, Problem, shown
from dvabatch_cli.config.section import Number, Section
from dvabatch_cli.config.suggest import did_you_mean, listed
from dvabatch_cli.studies import STUDIES


class Claim(Section):
    """One sentence that a number decides."""

    claim: Annotated[str, Field(min_length=1)]
    """The sentence."""
    figure: str
    """The figure whose metrics hold the number."""
    metric: str
    """The number's name there."""
    direction: Literal["at_most", "at_least", "about"]
    """Where it has to lie."""
    value: Number
    """What it is held against."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    """How far beyond, or for `about` how far off, it may be."""

    def holds(self, measured: float) -> bool:
        """Whether the claim is true of this number."""
        match self.direction:
            case "at_most":
                return measured <= self.value + self.tolerance
            case "at_least":
                return measured >= self.value - self.tolerance
            case "about":
                return abs(measured - self.value) <= self.tolerance


class Claims(Section):
    """All claims of a file."""

    claims: Annotated[list[Claim], Field(min_length=1)]
    """In the order in which they are checked."""


@dataclass(frozen=True, slots=True)
class ClaimsFile:
    """The claims of a file, and where each stands in it."""

    document: Document
    claims: tuple[Claim, ...]

    def refuse(self, index: int, metrics: Mapping[str, float]) -> NoReturn:
        """A claim whose metric is none of its figure's `metrics`.

        Raises:
            ConfigError: always, with the nearest that is.
        """
        claim = self.claims[index]
        hint = did_you_mean(claim.metric, metrics) or f"{claim.figure} has {', '.join(list(metrics)[:6])} .."
        finding = Finding(
            ("claims", index, "metric"), shown(claim.metric), f"a metric of the figure {claim.figure}", hint
        )
        raise ConfigError([self.document.problem(finding)])


def read_claims(file: Path) -> ClaimsFile:
    """The claims of a file.

    Raises:
        ConfigError: all that is wrong with it, by line and path: unknown keys, wrong values, unknown figures.
    """
    document = read_document(file)
    try:
        claims = tuple(Claims.model_validate(document.raw).claims)
    except ValidationError as error:
        raise ConfigError([_problem(each, document) for each in error.errors(include_url=False)]) from error
    unknown = [
        Finding(("claims", index, "figure"), shown(claim.figure), listed(STUDIES), did_you_mean(claim.figure, STUDIES))
        for index, claim in enumerate(claims)
        if claim.figure not in STUDIES
    ]
    if unknown:
        raise ConfigError(map(document.problem, unknown))
    return ClaimsFile(document, claims)


def _problem(details: Mapping[str, object], document: Document) -> Problem:
    """What is wrong at one place."""
    path = details["loc"]
    assert isinstance(path, tuple)
    if details["type"] == "extra_forbidden":
        known = list((Claim if len(path) == 3 else Claims).model_fields)
        hint = did_you_mean(str(path[-1]), known)
        return document.problem(Finding(path, "an unknown key", listed(known), hint), name=True)
    came = "nothing" if details["type"] == "missing" else shown(details["input"])
    wanted = str(details["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return document.problem(Finding(path, came, "a value: it is required" if came == "nothing" else wanted))
