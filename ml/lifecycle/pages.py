"""The report of a model's night, as YAML and as one self-contained page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import yaml

from ml.metrics import Metric
from ml.model import Model, ReportParts, Scored
from report_pages import note_html, page_html, section_html, table_html


@dataclass(frozen=True)
class ReportHead:
    """What a report says of itself.

    `fallback_from` names a champion that could not be read; `mark` is the gate's word.
    """

    version: str
    trained_rows: int
    fallback_from: str | None
    mark: str | None


def build_yaml(
    model: Model[Any, Any, Any], scored: Scored[Any, Any], head: ReportHead, parts: ReportParts
) -> str:
    """Return the report as YAML."""
    content = {
        "report": {
            "model": model.name,
            "family": model.family,
            "as_of": scored.scope.as_of.isoformat(),
            "model_version": head.version,
            "baseline": model.baseline if scored.is_baseline else None,
            "trained_until": scored.trained_until.isoformat(),
            "trained_rows": head.trained_rows,
            "inference_window": {
                "start": scored.scope.cutoff.isoformat(),
                "end": scored.scope.as_of.isoformat(),
            },
            "fallback_from": head.fallback_from,
            "gate": head.mark,
            "data_source": model.data_source,
            "predictions": len(scored.table),
        },
        "headlines": list(parts.headlines),
        **{section.key: section.data for section in parts.sections},
        "actions": list(parts.actions),
        "metrics": [asdict(metric) for metric in scored.metrics],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text


def build_html(
    model: Model[Any, Any, Any], scored: Scored[Any, Any], head: ReportHead, parts: ReportParts
) -> str:
    """Return the report as one self-contained page."""
    body = note_html(head.mark)
    if head.fallback_from:
        body += note_html(
            f"Version {head.fallback_from} could not be read. Version {head.version} was used in "
            "its place; train again."
        )
    if scored.is_baseline:
        body += note_html(
            f"This is the simple answer ({model.baseline}): no trained model has beaten it beyond "
            "noise so far."
        )
    first = "".join(f"<li>{escape(sentence)}</li>" for sentence in parts.headlines)
    body += section_html("What to know first", f"<ul>{first}</ul>", "headlines")
    for section in parts.sections:
        body += section_html(section.title, section.html, section.key)
    body += section_html("How far to trust this", _trust_html(model, scored, head), "metrics")
    facts = (
        ("as of", scored.scope.as_of.isoformat()),
        ("predictions", f"{len(scored.table):,}"),
        *parts.facts,
        ("model version", head.version),
        ("learnt from days before", scored.trained_until.isoformat()),
        ("inference window", f"{scored.scope.cutoff} to {scored.scope.as_of}"),
    )
    return page_html(model.title, model.subtitle, facts, body, with_plots=True)


def _trust_html(model: Model[Any, Any, Any], scored: Scored[Any, Any], head: ReportHead) -> str:
    who = f"the simple answer {model.baseline}" if scored.is_baseline else f"model {head.version}"
    words = (
        f"<p>Made by {escape(who)}, which learnt from {head.trained_rows:,} rows of "
        f"{escape(model.data_source)}, all of them before {scored.trained_until}. The figures "
        "below are of data that it had not seen.</p>"
    )
    if not scored.metrics:
        return words
    header = ("Measure", "Value", "95 % interval", "Simple answer", "Its value")
    return words + table_html(header, [_metric_row(metric) for metric in scored.metrics])


def _metric_row(metric: Metric) -> tuple[str, ...]:
    between = ""
    if metric.low is not None and metric.high is not None:
        between = f"{_figure(metric.low)} to {_figure(metric.high)}"
    return (
        metric.name.replace("_", " "),
        _figure(metric.value),
        between,
        metric.baseline or "",
        "" if metric.baseline_value is None else _figure(metric.baseline_value),
    )


def _figure(value: float) -> str:
    """Return a number as a person reads it: four digits that count, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
