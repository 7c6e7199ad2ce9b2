"""Puts the gate's own words into the pages of Data Docs.

GX shows neither what a suite is for nor how grave a failure is, and takes what does not apply for
a failure. Its pages are completed after it has built them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date
from html import escape
from pathlib import Path

from dags.stages.gate_outcomes import Outcome
from dags.stages.gate_records import gravest_first
from dags.stages.gate_suites import Suite
from report_pages.files import replace_file

# What GX says on every page, and where its first table begins.
_GENERIC = (
    '<p class="lead">Evaluates whether a batch of data matches expectations.</p>',
    '<p class="lead">A collection of Expectations defined for batches of data.</p>',
)
_ANCHOR = '<div id="section-1-content-block-2"'
# A night of a suite in the table of the index.
_ROW = "{'validation_success': "
_FAILED_ROW = re.compile(
    r"'_table_row_link_path': 'validations/(?P<suite>[^/']+)/(?P<night>[^/']+)/[^']*', "
    r"'_validation_success_text': '(?P<text>Failed)'"
)
_FAILED_ICON = "fas fa-times text-danger ge-failed-icon"
_SUCCESS_ICON = "fas fa-check-circle text-success ge-success-icon"
_COLOURS = {"failed": "danger", "error": "danger", "not_applicable": "secondary"}


def explain(
    home: Path,
    as_of: date,
    suites: Collection[Suite],
    outcomes: Sequence[Outcome],
    held: set[tuple[str, date]],
) -> None:
    """Write each suite's purpose, and what the gate makes of its results, into its pages.

    `held` are the suites, and nights before, of which nothing failed or broke.
    """
    from dags.stages.gate import validation_page

    for suite in suites:
        own = [outcome for outcome in outcomes if outcome.suite == suite.name]
        page = home / validation_page(suite.name, as_of)
        _complete(page, _purpose(suite) + _table(own, as_of))
        _complete(home / "data_docs" / "expectations" / f"{suite.name}.html", _purpose(suite))
    unheld = {outcome.suite for outcome in outcomes if outcome.state in ("failed", "error")}
    tonight = {(suite.name, as_of) for suite in suites if suite.name not in unheld}
    index = home / "data_docs" / "index.html"
    replace_file(index, clear_index(index.read_text(encoding="utf-8"), held | tonight))


def clear_index(text: str, held: set[tuple[str, date]]) -> str:
    """The index, with what does not apply to suites that hold no longer taken for a failure."""

    def cleared(row: str) -> str:
        found = _FAILED_ROW.search(row)
        if not found or (found["suite"], date.fromisoformat(found["night"])) not in held:
            return row
        row = row[: found.start("text")] + "Success" + row[found.end("text") :]
        return row.replace(_FAILED_ICON, _SUCCESS_ICON, 1)

    head, *rows = text.split(_ROW)
    return _ROW.join([head, *map(cleared, rows)])


def _complete(page: Path, block: str) -> None:
    """Put a block before the first table of a page, and take out what says nothing."""
    text = page.read_text(encoding="utf-8")
    for sentence in _GENERIC:
        text = text.replace(sentence, "")
    if _ANCHOR not in text:
        raise ValueError(f"{page} is not built like a page of Data Docs: it has no {_ANCHOR}")
    block = f'<div class="col-12 p-1" id="gate">{block}</div>\n'
    replace_file(page, text.replace(_ANCHOR, block + _ANCHOR, 1))


def _purpose(suite: Suite) -> str:
    """What the suite is for; two asterisks in a suite's notes make words bold."""
    parts = escape(suite.purpose).split("**")
    words = "".join(f"<b>{part}</b>" if i % 2 else part for i, part in enumerate(parts))
    return f'<p class="lead" style="font-size: 1.1rem">{words}</p>'


def _table(outcomes: Sequence[Outcome], as_of: date) -> str:
    """What was found, the gravest first, then what does not apply; how much else holds."""
    idle = [outcome for outcome in outcomes if outcome.state == "not_applicable"]
    told = [*gravest_first(outcomes), *idle]
    rows = "".join(
        f"<tr><td>{escape(outcome.severity)}</td>"
        f'<td><span class="badge badge-{_COLOURS[outcome.state]}">'
        f"{outcome.state.replace('_', ' ')}</span></td>"
        f'<td style="overflow-wrap: anywhere">{escape(outcome.finding())}</td></tr>'
        for outcome in told
    )
    holds = f"{len(outcomes) - len(told)} of {len(outcomes)} expectations hold on {as_of}."
    if not rows:
        return f"<p>{holds}</p>"
    return (
        f"<p>{holds} All failing rows are in <code>quality.failing_rows</code>.</p>"
        '<table class="table table-sm"><thead><tr><th>Severity</th><th>State</th><th>Finding</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )
