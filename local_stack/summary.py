"""What a finished run shows: rows per layer, verdict, models, seconds per stage, addresses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from dags.stages import run_pages
from local_stack.airflow_api import RunState

LAYERS = {
    "raw": ("raw_mysql", "raw_postgres", "raw_mongo"),
    "staging": ("staging",),
    "intermediate": ("intermediate",),
    "marts": ("marts",),
    "models": ("ml",),
}


@dataclass(frozen=True)
class Summary:
    """The summary of one ``make run``; ``run_summary.json`` holds the same fields.

    ``rows`` maps a layer to its tables and their rows; ``seconds`` maps a stage to its
    duration in seconds, from its first task's start to its last task's end.
    """

    as_of: str
    state: str
    rows: dict[str, dict[str, int]]
    verdict: str
    models: list[dict[str, Any]]
    seconds: dict[str, float]
    addresses: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON carries them."""
        return asdict(self)


def stage_seconds(*runs: RunState) -> dict[str, float]:
    """Each stage's duration, stages in the order of their start."""
    spans: dict[str, tuple[float, float]] = {}
    for run in runs:
        for task in run.tasks:
            if task.start is None or task.end is None:
                continue
            name = run.dag_id if run.dag_id != "nightly" else task.stage
            start, end = task.start.timestamp(), task.end.timestamp()
            before = spans.get(name, (start, end))
            spans[name] = (min(before[0], start), max(before[1], end))
    ordered = sorted(spans.items(), key=lambda item: item[1])
    return {name: round(end - start, 2) for name, (start, end) in ordered}


def count_rows(conn: psycopg.Connection[Any]) -> dict[str, dict[str, int]]:
    """The rows of every table, by layer."""
    layers: dict[str, dict[str, int]] = {}
    for layer, schemas in LAYERS.items():
        tables = conn.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema = any(%s) and table_type = 'BASE TABLE' order by 1, 2",
            (list(schemas),),
        ).fetchall()
        layers[layer] = {}
        for schema, table in tables:
            query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
            row = conn.execute(query).fetchone()
            layers[layer][f"{schema}.{table}"] = row[0] if row else 0
    return layers


def read_verdict(home: Path, as_of: date) -> str:
    """The gate's verdict on the night's marts as they stand, and how many expectations hold."""
    verdict = run_pages.read_verdict(home, as_of)
    if verdict is None:
        return "not validated"
    applicable = verdict["expectations"] - verdict["not_applicable"]
    held = applicable - len(verdict["findings"])
    word = verdict["verdict"].replace("_", " ")
    return f"{word}: {held} of {applicable} expectations hold"


def read_models(conn: psycopg.Connection[Any], as_of: date) -> list[dict[str, Any]]:
    """Each model's last run of the night, with its version's metrics."""
    runs = conn.execute(
        """
        select distinct on (model, kind) model, kind, state, version, rows
        from ml.model_runs where as_of = %s and kind in ('train', 'infer')
        order by model, kind, run_id desc
        """,
        (as_of,),
    ).fetchall()
    models = []
    for model, kind, state, version, rows in runs:
        metrics = conn.execute(
            "select metric, value, low, high, baseline, baseline_value from ml.model_metrics"
            " where model = %s and version = %s order by metric",
            (model, version),
        ).fetchall()
        names = ("metric", "value", "low", "high", "baseline", "baseline_value")
        models.append(
            {
                "model": model,
                "kind": kind,
                "state": state,
                "version": version,
                "rows": rows,
                "metrics": [dict(zip(names, metric, strict=True)) for metric in metrics],
            }
        )
    return models


def show(summary: Summary, console: Console) -> None:
    """Print the summary as tables."""
    rows = Table(title=f"Rows as of {summary.as_of}", title_justify="left")
    rows.add_column("layer")
    rows.add_column("table")
    rows.add_column("rows", justify="right")
    for layer, tables in summary.rows.items():
        for table, count in tables.items():
            rows.add_row(layer, table, f"{count:,}")
        rows.add_section()
    console.print(rows)
    console.print(f"[bold]Gate[/]    {summary.verdict}")
    console.print(_models_table(summary.models))
    times = Table(title="Seconds per stage", title_justify="left")
    times.add_column("stage")
    times.add_column("seconds", justify="right")
    for stage, seconds in summary.seconds.items():
        times.add_row(stage, f"{seconds:.1f}")
    console.print(times)
    for name, address in summary.addresses.items():
        console.print(f"[bold]{name:<14}[/] {address}", soft_wrap=True, highlight=False)


def _models_table(models: list[dict[str, Any]]) -> Table:
    """One line a model: training, scoring, and its first figure beside the simple answer."""
    table = Table(title="Models", title_justify="left")
    for name in ("model", "training", "scoring", "champion"):
        table.add_column(name)
    table.add_column("predictions", justify="right")
    table.add_column("figure (95 % interval; simple answer)")
    for name in sorted({run["model"] for run in models}):
        runs = {run["kind"]: run for run in models if run["model"] == name}
        scored = runs.get("infer", {})
        table.add_row(
            name,
            runs.get("train", {}).get("state", "not due"),
            scored.get("state", "not run"),
            scored.get("version") or "-",
            f"{scored.get('rows', 0):,}",
            _metric_line(scored.get("metrics", [])),
        )
    return table


def _metric_line(metrics: list[dict[str, Any]]) -> str:
    """The first figure of a version that stands beside a baseline's."""
    compared = [m for m in metrics if m["baseline_value"] is not None and m["low"] is not None]
    if not compared:
        return ""
    metric = next((m for m in compared if m["baseline"] != "champion"), compared[0])
    return (
        f"{metric['metric']} {metric['value']:.4g} ({metric['low']:.4g} to {metric['high']:.4g}; "
        f"{metric['baseline']} {metric['baseline_value']:.4g})"
    )
