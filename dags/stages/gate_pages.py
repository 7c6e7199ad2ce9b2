"""Puts the gate's own words into the pages of Data Docs.

GX shows neither what a suite is for nor how grave a failure is, and what does not apply looks as
if it had been checked. Its pages are completed after it has built them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
_COLOURS = {"failed": "danger", "error": "danger", "not_applicable": "secondary"}


def explain(home: Path, as_of: date, suites: Iterable[Suite], outcomes: Sequence[Outcome]) -> None:
    """Write each suite's purpose, and what the gate makes of its results, into its pages."""
    from dags.stages.gate import validation_page

    for suite in suites:
        own = [outcome for outcome in outcomes if outcome.suite == suite.name]
        page = home / validation_page(suite.name, as_of)
        _complete(page, _purpose(suite) + _table(own, as_of))
        _complete(home / "data_docs" / "expectations" / f"{suite.name}.html", _purpose(suite))


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
