"""A report as one page that a person reads: self-contained, without scripts, and without a request to anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from dvabatch.reporting.figure_files import caption, model_title
from dvabatch.reporting.labels import load_label
from dvabatch.reporting.series import points

from .answer import Answer, answer_of
from .cells import answered_text, change_text, mark, rate_text
from .charts import Chart, charts_of, figures_section
from .commands import commands_section
from .machine import config_section, environment_section
from .markup import Column, Html, code, element, items, joined, paragraph, table
from .operations import operations_section
from .palette import dark_rules
from .shape import check
from .soundness import answers_section, validity_section
from .tables import comparison_section, ratio_cell, runs_section
from .tame import tamed
from .verdict import AtLoad, Outcome, Standing, standing_of

_SECTIONS: Final = (
    ("runs", "Runs"),
    ("comparison", "Comparison"),
    ("figures", "Figures"),
    ("validity", "Validity"),
    ("answers", "Answers"),
    ("operations", "Operations"),
    ("environment", "Environment"),
    ("config", "Config"),
    ("reproduce", "Reproduce"),
)


def page_of(
    report: Mapping[str, Any], *, report_sha256: str | None = None, say: Callable[[str], None] = lambda _: None
) -> str:
    """The page of a report as `read_report` gives it. The same report gives the same page, under the same matplotlib.

    `report_sha256` is the digest of its report.json, told below the page. `say` is told of progress and of what is left out.

    Raises:
        ReportError: a field that the page reads is missing, of another type, or beyond all bounds.
    """
    report = tamed(report)
    check(report)
    found = points(report["runs"])
    left_out: list[str] = []
    say("drawing the figures: some seconds")
    charts = charts_of(report, left_out.append)
    for why in left_out:
        say(why)
    title = str(report["name"])
    standing = standing_of(report)
    answer = answer_of(standing, _served(report))
    body = element(
        "body",
        _head(report, standing, answer),
        element(
            "main",
            runs_section(report),
            comparison_section(report),
            figures_section(charts, left_out),
            validity_section(report, found),
            answers_section(report),
            operations_section(found),
            environment_section(report),
            config_section(report),
            commands_section(report),
        ),
        _foot(report, report_sha256),
    )
    return f"<!DOCTYPE html>\n{element('html', _meta(title, answer, charts), body, lang='en')}\n"


def _meta(title: str, answer: Answer, charts: list[Chart]) -> Html:
    """The head. Nothing may be loaded, run or sent; the one style sheet is known by its digest."""
    drawings = [drawing for chart in charts for drawing in (chart.wide, chart.narrow)]
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    style += f"\n@media screen and (prefers-color-scheme: dark) {{\n{dark_rules(drawings)}\n}}\n"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="description", content=answer.answer),
        element("title", f"{title} · dvabatch report"),
        element("style", Html(style)),  # ours alone: nothing of a report is in it but colours of its figures
    )


def _served(report: Mapping[str, Any]) -> str:
    """What the queries were answered by: a model, or the table that stands for one."""
    version = report["engine"].get("version")
    return model_title(report) if report["model"] is not None or not version else f"the latency table {version}"


def _head(report: Mapping[str, Any], standing: Standing, answer: Answer) -> Html:
    links = [element("a", name, href=f"#{anchor}") for anchor, name in _SECTIONS]
    return element(
        "header",
        paragraph("dvabatch report", class_="kicker"),
        element("h1", str(report["name"])),
        paragraph(caption(report).removeprefix(f"{report['name']} · "), class_="quiet"),
        element("h2", answer.question),
        paragraph(answer.answer, class_="answer"),
        *([_winners(standing)] if standing.best else []),
        *([items(answer.remarks)] if answer.remarks else []),
        element("nav", *links, aria_label="sections"),
    )


def _winners(standing: Standing) -> Html:
    columns = [
        Column("load", numeric=False),
        Column("best policy", numeric=False),
        Column("mean response", numeric=False),
        Column("against swept", about="ratio of means with its 95 % interval"),
        Column("against untuned", about="ratio of means with its 95 % interval"),
    ]
    rows = [_winner(each) for each in standing.best]
    return table("Who answers soonest at each load", columns, [(None, rows)])


def _winner(each: AtLoad) -> list[str]:
    told = answered_text(each.hardest) if each.outcome is Outcome.FEWER else change_text(each.ratio)
    return [
        joined((load_label(each.load), " ", element("small", rate_text(each.load)))),
        each.policy,
        mark(f"{each.outcome.value}, {told}", each.outcome.kind),
        ratio_cell(each.against.get("swept")),
        ratio_cell(each.against.get("untuned")),
    ]


def _foot(report: Mapping[str, Any], report_sha256: str | None) -> Html:
    made = f"Made by dvabatch {report['dvabatch_version']}"
    made += f", report of {report['created_at']}." if report["created_at"] else "."
    digest = [] if report_sha256 is None else [paragraph("sha256 of report.json: ", code(report_sha256))]
    return element(
        "footer",
        paragraph(made, " This page holds no script and loads nothing; every number of it is in report.json."),
        *digest,
    )
