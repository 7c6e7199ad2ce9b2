"""The pages that the plugin makes itself: plain HTML, readable by day and by night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dags.stages.run_pages import RunPage
from plugins.amato_pages.reports import Report, ReportFile

STYLE = (Path(__file__).resolve().parents[1] / "static" / "amato.css").read_text(encoding="utf-8")
LABELS = {".html": "Report", ".yaml": "YAML", ".yml": "YAML", ".parquet": "Parquet"}
VERDICTS = {
    "passed": ("passed", "good", "Every check that decides held."),
    "passed_with_warnings": ("passed with warnings", "warn", "Published, with a mark."),
    "failed": ("stopped", "bad", "A critical check failed: nothing was scored from this night."),
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


def reports_page(root: str, reports: Sequence[Report]) -> str:
    """The list of all reports."""
    nights = {report.as_of for report in reports if report.as_of}
    lead = _count(len(reports), "report")
    lead += f" of {_count(len(nights), 'night')}, the newest first." if nights else "."
    return page(root, "Model reports", lead, _families(root, reports))


def run_page(
    root: str, run: RunPage, verdict: dict[str, Any] | None, reports: Sequence[Report]
) -> str:
    """What one run made: its loads, how its night was judged, the docs and the reports."""
    cards = [("dbt docs", "docs/", "Every table, its columns, its tests and where it comes from.")]
    for suite, path in sorted((verdict or {}).get("pages", {}).items()):
        cards.insert(0, (f"Data Docs: {suite}", path, f"Every check of the night {run.as_of}."))
    body = '<div class="cards">' + "".join(
        f'<a href="{root}{quote(path)}"><b>{escape(name)}</b>{escape(text)}</a>'
        for name, path, text in cards
    )
    body += "</div>" + _verdict(verdict) + _loads(run.loads)
    body += _families(root, reports) or (
        "<section><h2>Model reports</h2><p>This night has none. Reports are written by the DAGs "
        "train_models and batch_inference, and by nightly.</p></section>"
    )
    return page(root, f"Night {run.as_of}", f"{run.dag_id} · {run.run_id}", body)


def _verdict(verdict: dict[str, Any] | None) -> str:
    """The gate's verdict and what it found."""
    if verdict is None:
        return (
            "<section><h2>Gate</h2><p>This night was not validated yet. The DAGs validate and "
            "nightly do that.</p></section>"
        )
    word, colour, meaning = VERDICTS[verdict["verdict"]]
    rows = "".join(
        f'<tr><td>{escape(finding["severity"])}</td><td class="wrap">{escape(finding["finding"])}'
        "</td></tr>"
        for finding in verdict["findings"]
    )
    table = (
        f"<div class=scroll><table><tr><th>Severity</th><th>Finding</th></tr>{rows}</table></div>"
        if rows
        else ""
    )
    return (
        f'<section><h2>Gate <span class="badge {colour}">{word}</span></h2><p class="soft">'
        f"{meaning} {_count(verdict['expectations'], 'expectation')} in all.</p>{table}</section>"
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
