"""The pages that the plugin makes itself: plain HTML, readable by day and by night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dags.stages.run_pages import RunPage
from ml.catalogue import FAMILIES
from plugins.amato_pages.reports import Report, ReportFile

STYLE = (Path(__file__).resolve().parents[1] / "static" / "amato.css").read_text(encoding="utf-8")
LABELS = {".html": "Report", ".yaml": "YAML", ".yml": "YAML", ".parquet": "Parquet"}
VERDICTS = {
    "passed": ("passed", "good", "Every check that decides held."),
    "passed_with_warnings": ("passed with warnings", "warn", "Published, with a mark."),
    "failed": ("stopped", "bad", "A critical check failed: nothing more is made from this night."),
    "error": ("stopped", "bad", "A check could not be evaluated: mend that, then validate again."),
}


def page(root: str, title: str, lead: str, body: str) -> str:
    """One page. `root` is the address of the pages, ending in a slash; `lead` is plain text."""
    links = (("Reports", "reports/"), ("Data Docs", "data_docs/"), ("dbt docs", "docs/"))
    menu = "".join(f'<a href="{root}{path}">{name}</a>' for name, path in links)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · AMATO</title><style>{STYLE}</style></head><body><main>"
        f'<nav>{menu}</nav><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>'
        f"{body}</main></body></html>\n"
    )


def missing_page(root: str, what: str, remedy: str) -> str:
    """A page for what has not been made yet, which says how to make it."""
    return page(root, f"{what}: nothing here yet", remedy, "")


def reports_page(root: str, reports: Sequence[Report], newest: dict[str, Any] | None = None) -> str:
    """The list of all reports. `newest` is the verdict on the newest night, if there is any."""
    nights = {report.as_of for report in reports if report.as_of}
    lead = _count(len(reports), "report")
    lead += f" of {_count(len(nights), 'night')}, the newest first." if nights else "."
    stale = "" if newest is None else _stale(root, newest, reports)
    return page(root, "Model reports", lead, stale + _families(root, reports))


def run_page(
    root: str,
    run: RunPage,
    verdict: dict[str, Any] | None,
    reports: Sequence[Report],
    history: Sequence[tuple[str, float]] = (),
) -> str:
    """What one run made: its loads, how its night was judged, the docs and the reports.

    `history` has the data-quality scores of the last nights.
    """
    cards = [
        ("Data Docs", "data_docs/", "Every check of every night, suite by suite."),
        ("dbt docs", "docs/", "Every table, its columns, its tests and where it comes from."),
    ]
    body = '<div class="cards">' + "".join(
        f'<a href="{root}{quote(path)}"><b>{escape(name)}</b>{escape(text)}</a>'
        for name, path, text in cards
    )
    body += "</div>" + _verdict(root, verdict, history) + _loads(run.loads)
    body += _families(root, reports) or (
        "<section><h2>Model reports</h2><p>This night has none. Reports are written by the DAGs "
        "train_models and batch_inference, and by nightly.</p></section>"
    )
    return page(root, f"Night {run.as_of}", f"{run.dag_id} · {run.run_id}", body)


def _stale(root: str, newest: dict[str, Any], reports: Sequence[Report]) -> str:
    """A note that predictions are stale: where ``ml.predictions_standing`` says so.

    They are if the newest night is not published, or a model's last report is of an earlier one.
    """
    night, stops = newest["as_of"], newest["verdict"] in ("failed", "error")
    published = newest["verdict"] and (not stops or newest["override"])
    scored: dict[str, str] = {}
    for report in reports:
        if report.family in FAMILIES.values():
            scored[report.name] = max(report.as_of, scored.get(report.name, ""))
    old = {model: at for model, at in scored.items() if not published or at < night}
    if not old:
        return ""
    if published:
        why = f"The night {night} is published, and it is not scored yet."
    elif stops:
        finding = newest["findings"][0]
        why = (
            f"The gate stopped the night {night}: {escape(finding['finding'])} "
            f'<a href="{root}{quote(finding["page"])}">Data Docs</a>'
        )
    else:
        why = f"The night {night}: the gate has not judged it as it stands."
    listed = ", ".join(f"{at} ({model})" for model, at in sorted(old.items()))
    return (
        f'<section class="stale"><h2>Stale <span class="badge bad">since {night}</span></h2>'
        f"<p>The predictions in force are still those of {escape(listed)}.</p>"
        f"<p class=wrap>{why}</p></section>"
    )


def _verdict(
    root: str, verdict: dict[str, Any] | None, history: Sequence[tuple[str, float]]
) -> str:
    """The gate's verdict, the scores, and what was found."""
    if verdict is None:
        return (
            "<section><h2>Gate</h2><p>This night was not validated yet. The DAGs validate and "
            "nightly do that.</p></section>"
        )
    word, colour, meaning = VERDICTS[verdict["verdict"]]
    if override := verdict["override"]:
        word, colour = "published although stopped", "warn"
        meaning = (
            f"{override['published_by']} published it ({override['dag_id']}, "
            f"{override['run_id']}, {override['run_at']}): {override['reason']}"
        )
    rows = "".join(
        f"<tr><td>{escape(finding['severity'])}{' · stops' if finding['stops'] else ''}</td>"
        f'<td class="wrap">{escape(finding["finding"])}<br><code>{escape(finding["rows"])}</code>'
        f'</td><td><a href="{root}{quote(finding["page"])}">Data Docs</a></td></tr>'
        for finding in verdict["findings"]
    )
    table = (
        "<div class=scroll><table><tr><th>Severity</th><th>Finding, and its failing rows</th>"
        f"<th>Where</th></tr>{rows}</table></div>"
        if rows
        else ""
    )
    idle = verdict["not_applicable"]
    return (
        f'<section><h2>Gate <span class="badge {colour}">{word}</span></h2><p class="soft">'
        f"{escape(meaning)} {_count(verdict['expectations'], 'expectation')} in all, of which "
        f"{idle:,} did not apply.</p>{table}{_pages(root, verdict['pages'])}</section>"
        + _scores(verdict["scores"], history)
    )


def _pages(root: str, pages: dict[str, str]) -> str:
    """Links to the night's page of each suite."""
    links = " · ".join(
        f'<a href="{root}{quote(path)}">{escape(suite)}</a>'
        for suite, path in sorted(pages.items())
    )
    return f"<p class=wrap>Data Docs of the night: {links}</p>"


def _scores(scores: Sequence[dict[str, Any]], history: Sequence[tuple[str, float]]) -> str:
    """The data-quality score of the night, and of its tables, the worst first."""
    if not scores:
        return ""
    *tables, night = scores
    rows = "".join(
        f"<tr><td>{escape(score['table'])}</td><td>{score['score']:.2f}</td><td>"
        f"{'-' if score['rows'] is None else format(score['rows'], ',')}</td>"
        f"<td>{score['failed']} of {score['expectations']}</td></tr>"
        for score in sorted(tables, key=lambda score: (score["score"], score["table"]))
    )
    return (
        f"<section><h2>Data quality: {night['score']:.2f} of 100</h2><p class=soft>Half of what an "
        "expectation weighs is lost by failing, the rest by the share of rows that fail; critical "
        "weighs 1, a warning 0.5, info 0.1. quality.table_scores has every night.</p>"
        f"<p class=wrap>{' · '.join(f'{night} <b>{score:.2f}</b>' for night, score in history)}</p>"
        "<details><summary>All tables</summary><div class=scroll><table><tr><th>Table</th>"
        "<th>Score</th><th>Rows</th><th>Failed</th></tr>"
        f"{rows}</table></div></details></section>"
    )


def _loads(loads: Mapping[str, Mapping[str, Any]]) -> str:
    """What the run's loads did, and how the sources differ from their contracts."""
    if not loads:
        return ""
    columns = ("read", "inserted", "updated", "deleted", "rejected", "rows_per_second")
    rows = "".join(
        f"<tr><td>{escape(table)}</td>"
        + "".join(f'<td class="num">{load[name] or 0:,}</td>' for name in columns)
        + f'<td class="num">{_size(load["bytes"])}</td></tr>'
        for table, load in sorted(loads.items())
    )
    heads = "".join(
        f'<th class="num">{name}</th>'
        for name in ("Read", "Inserted", "Updated", "Deleted", "Rejected", "Rows/s", "Size")
    )
    differences = [
        (table, text) for table, load in sorted(loads.items()) for text in load["differences"]
    ]
    listed = "".join(
        f'<tr><td>{escape(table)}</td><td class="wrap">{escape(text)}</td></tr>'
        for table, text in differences
    )
    found = (
        '<div class="scroll"><table><tr><th>Table</th><th>Difference</th></tr>'
        f"{listed}</table></div>"
        if listed
        else '<p class="soft">Every source has the columns that its contract declares.</p>'
    )
    return (
        f"<section><h2>Sources and contracts</h2>{found}</section>"
        f'<section><h2>Loaded</h2><div class="scroll"><table><tr><th>Table</th>{heads}</tr>{rows}'
        "</table></div></section>"
    )


def _families(root: str, reports: Sequence[Report]) -> str:
    """One table of reports per family."""
    sections = []
    for family, members in groupby(reports, key=lambda report: report.family):
        rows = "".join(
            f"<tr><td>{escape(report.as_of or '-')}</td><td>{escape(report.name)}</td><td>"
            + "".join(_link(root, file) for file in report.files)
            + f'</td><td class="wrap"><code>{escape(report.version or "-")}</code></td></tr>'
            for report in members
        )
        sections.append(
            f"<section><h2>{escape(family.replace('_', ' ').capitalize())}</h2>"
            '<div class="scroll"><table><tr><th>As of</th><th>Report</th><th>Open</th>'
            f"<th>Version</th></tr>{rows}</table></div></section>"
        )
    return "".join(sections)


def _link(root: str, file: ReportFile) -> str:
    label = LABELS.get(file.suffix, file.suffix.lstrip(".") or "file")
    title = f"{file.path}, {_size(file.size)}"
    return f'<a href="{root}reports/{quote(file.path)}" title="{escape(title)}">{label}</a>'


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e3:.1f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
