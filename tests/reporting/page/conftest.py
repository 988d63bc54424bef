"""What the page's tests share: a page drawn once, a report small enough to draw often, and one that means harm."""

from __future__ import annotations

import copy
from html.parser import HTMLParser
from typing import Any

import pytest

from dvabatch.reporting.page import charts
from dvabatch.reporting.page.page import page_of

HARM = '</style></script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">"\'><b onclick=pwned()>&amp;{}'


class Reader(HTMLParser):
    """The elements, attributes and text of a page, as a browser's parser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="session")
def whole(report: dict[str, Any]) -> dict[str, Any]:
    """A report as `read_report` gives it, with all that lies beside its runs."""
    curves = [{"1": 1.0, "4": 1.5, "16": 5.0}, {"1": 0.5, "4": 1.9, "16": 7.0}, {"1": 0.7, "4": 1.0, "16": 3.0}]
    body = copy.deepcopy(report)
    for key in ("runs", "comparison"):
        body[key] = [each for each in body[key] if each["load"]["utilization"] in {0.6, 1.2}]  # to draw half as long
    return {
        **body,
        "created_at": "2026-01-02T03:04:05+00:00",
        "command": "dvabatch simulate queue.json -o results/queue",
        "environment": {
            "cpu": "A Processor",
            "cores": 2,
            "memory_bytes": 2**33,
            "gpu": None,
            "packages": {"numpy": "2.0"},
        },
        "profile": {
            "stages": [{"stage": index, "lane": None, "latency_ms": curve} for index, curve in enumerate(curves)],
            "batch_sizes": [1, 4, 16],
            "slicing_tax": {"1": 1.07, "4": 1.02, "16": 1.01},
            "capacity_rps": 2000.0,
        },
        "correctness": {
            "checked": 640,
            "max_abs_error": 1e-6,
            "max_rel_error": 2e-6,
            "tolerance": 1e-4,
            "passed": True,
        },
    }


@pytest.fixture(scope="session")
def page(whole: dict[str, Any]) -> str:
    """The page of `whole`."""
    return page_of(whole, report_sha256="ab" * 32)


@pytest.fixture
def small(whole: dict[str, Any]) -> dict[str, Any]:
    """One load, one seed: two baselines and a policy. The test may change it."""
    return _small(whole)


def _small(whole: dict[str, Any]) -> dict[str, Any]:
    keep = [run for run in whole["runs"] if run["load"]["utilization"] == 0.6 and run["load"]["seed"] == 1][:3]
    compared = [row for row in whole["comparison"] if row["load"]["utilization"] == 0.6 and row["policy"] == "LOAD_DVA"]
    return copy.deepcopy({**whole, "runs": keep, "comparison": compared, "profile": None})


@pytest.fixture
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first figure alone: for tests that draw, and look at something else."""
    monkeypatch.setattr(charts, "_OF_RUNS", charts._OF_RUNS[:1])


@pytest.fixture(scope="session")
def harmful_page(whole: dict[str, Any]) -> str:
    """The page of a report in which every text tries to be more than text."""
    small = _small(whole)
    small |= {"name": HARM, "created_at": HARM, "command": f"dvabatch bench {HARM}", "dvabatch_version": HARM}
    small |= {"environment": {HARM: {HARM: [HARM]}}, "config": {HARM: [HARM]}}
    small |= {"model": {"name": HARM, "sha256": HARM, "stages": [{"index": 0, "sha256": HARM}]}}
    small |= {"engine": {"backend": HARM, "version": HARM, "precision": HARM}}
    for number, run in enumerate(small["runs"]):
        run |= {"valid": False, "invalid_reasons": [HARM], "reasons": {HARM: 1}, "admission": HARM}
        run["policy"] = {"scheduler_type": HARM[:150], "name": f"{number}{HARM}"[:150], HARM: HARM}
        run["load"] |= {"process": HARM}
        run["counts"]["failed"] = 1
        run["operations"] = {HARM[:150]: 1}
    for row in small["comparison"]:
        row |= {"policy": HARM, "baseline": HARM, "notes": [HARM]}
        row["load"]["process"] = HARM
    return page_of(small)
