"""How numbers, intervals and marks read in the page's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dvabatch.reporting.ends import share_text
from dvabatch.reporting.labels import load_label
from dvabatch.reporting.percentiles import milliseconds_text

from .markup import NOTHING, Html, element, joined

Row = Mapping[str, Any]


def number(value: float | None) -> str:
    """Four significant digits, whatever the unit."""
    if value is None:
        return NOTHING
    return milliseconds_text(value) if value == 0 or value >= 1e-6 else f"{value:.3g}"


def mean_cell(mean_ms: float | None, interval_ms: Sequence[float] | None) -> str:
    """The mean, and below it its 95 % interval at the mean's digits."""
    if mean_ms is None or interval_ms is None:
        return number(mean_ms)
    text = number(mean_ms)
    decimals = len(text.partition(".")[2])
    low, high = (f"{bound:,.{decimals}f}" for bound in interval_ms)
    return joined((text, " ", element("small", f"{low} to {high}")))


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.3g} %"


def answered_text(row: Row) -> str:
    """How many of the queries either side of a comparison answered."""
    return f"{share_text(row['answered'])} against {share_text(row['baseline_answered'])}"


def load_title(load: Mapping[str, Any]) -> str:
    """The heading of a load's group: "50 % of the capacity: 120 queries/s, poisson"."""
    rate = rate_text(load)
    return rate if load["utilization"] is None else f"{load_label(load)} of the capacity: {rate}"


def rate_text(load: Mapping[str, Any]) -> str:
    return f"{number(load['request_rate_rps'])} queries/s, {load['process']}"


def policy_cell(label: str, role: str) -> str:
    """A point's policy; what marks a baseline stands apart from its name."""
    name = label.replace(f" ({role})", "")
    return (
        label
        if role == "policy"
        else name
        if name == role
        else joined((name, " ", element("small", role, class_="chip")))
    )


def mark(text: str, kind: str) -> Html:
    """A finding in its colour: good, bad or warn. The words say it too."""
    return element("span", text, class_=kind)


def flags(invalid: int, saturated: int, seeds: int) -> str:
    """INVALID and saturated, with how many of the seeds where not all."""
    found = []
    for count, text, kind in ((invalid, "INVALID", "bad"), (saturated, "saturated", "warn")):
        if count:
            found.append(mark(text if count == seeds else f"{text} {count}/{seeds}", kind))
    return joined(part for each in found for part in (each, " ")) if found else ""


def p_text(p: float | None) -> str:
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def change_text(ratio: float) -> str:
    """A ratio of means as people say it: "12 % lower", "3.1 % higher", "4.2 times as long"."""
    if ratio > 2:
        return f"{ratio:.3g} times as long"
    return f"{_percent(ratio)} {'lower' if ratio <= 1 else 'higher'}"


def change_interval_text(ratio: float, interval: Sequence[float]) -> str:
    """The interval of such a change, in the same words: "95 % interval 9 % to 15 %"."""
    low, high = interval
    if ratio > 2:
        return f"95 % interval {low:.3g} to {high:.3g} times"
    if low < 1 < high:
        return f"95 % interval from {change_text(low)} to {change_text(high)}"
    near, far = sorted((low, high), key=lambda bound: abs(1 - bound))
    return f"95 % interval {_percent(near)} to {_percent(far)}"


def _percent(ratio: float) -> str:
    change = 100 * abs(1 - ratio)
    return f"{change:.0f} %" if change >= 9.95 else f"{change:.1f} %"
