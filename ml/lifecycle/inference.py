"""Scoring a night with the champion: predictions, files and the report."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg

from ml import registry
from ml.lifecycle.pages import ReportHead, build_html, build_yaml
from ml.lifecycle.versions import Serving, choose_version
from ml.model import KEY_COLUMNS, Model, Scope, Scored
from ml.outputs import parquet_bytes
from ml.results import InferResult
from ml.standing import night_mark
from report_pages.files import replace_file

log = logging.getLogger(__name__)


def table_columns(model: Model[Any, Any, Any]) -> tuple[str, ...]:
    """Return the columns of a model's predictions, in the order of its files."""
    return (*KEY_COLUMNS, *model.result_columns, "trained_as_of")


def infer(
    model: Model[Any, Any, Any], conn: psycopg.Connection, scope: Scope, home: Path
) -> InferResult:
    """Score a night, and write its table, files and report.

    The files are written whole, then the night's predictions are replaced in one transaction:
    stopping anywhere leaves the last predictions. Scoring again gives the same bytes and rows.
    Without any trained version, or without anything to score, the state is `not_applicable`.

    Raises:
        ArtefactError: no artefact of any version can be used.
        MartMissingError: the marts are not there.
    """
    started = time.perf_counter()
    serving = choose_version(model, conn, scope.as_of, home)
    if serving is None:
        why = "no version has been trained on history before this night"
        return _not_applicable(model, conn, scope, why, started)
    data = model.read_scoring(conn, scope)
    table = _completed(model, model.score(serving.fitted, data, scope), serving, scope)
    if table.empty:
        why = f"there was nothing to score with {model.data_source} as of {scope.as_of}"
        return _not_applicable(model, conn, scope, why, started)
    scored = Scored(
        scope=scope,
        table=table,
        data=data,
        fitted=serving.fitted,
        is_baseline=serving.version.is_baseline,
        metrics=registry.read_metrics(conn, model.name, serving.version.version),
        trained_until=serving.version.trained_until,
    )
    head = ReportHead(
        version=serving.version.version,
        trained_rows=serving.version.trained_rows,
        fallback_from=serving.fallback_from,
        mark=night_mark(conn, scope.as_of),
    )
    files = _write_files(model, home, scored, head)
    message = f"{len(table):,} predictions with {serving.version.version}"
    if serving.fallback_from:
        message += f" in place of {serving.fallback_from}, whose artefact cannot be used"
    conn.commit()  # ends the reading transaction, so that the lock below sees what is new
    with conn.transaction():
        registry.lock_model(conn, model.name)
        save_predictions(model, conn, scope, table)
        seconds = time.perf_counter() - started
        registry.record_run(
            conn, "infer", model.name, head.version, scope.as_of, "success", len(table), seconds,
            message,
        )  # fmt: skip
    log.info("%s: %s", model.name, message)
    return InferResult(
        model.name, model.family, scope.as_of, "success", head.version, len(table), files,
        serving.fallback_from, message, seconds,
    )  # fmt: skip


def _completed(
    model: Model[Any, Any, Any], table: pd.DataFrame, serving: Serving[Any], scope: Scope
) -> pd.DataFrame:
    """Return predictions with all columns, in the order of their keys."""
    table = table.assign(
        as_of=scope.as_of,
        model_version=serving.version.version,
        trained_as_of=serving.version.trained_until,
    )
    table = table.loc[:, list(table_columns(model))]
    return table.sort_values(list(KEY_COLUMNS[:3]), kind="stable", ignore_index=True)


def save_predictions(
    model: Model[Any, Any, Any], conn: psycopg.Connection, scope: Scope, table: pd.DataFrame
) -> None:
    """Put the predictions of a night in place of those it had, of whatever version.

    So a night holds one row a key, also after another version has scored it again.
    """
    name = f"ml.{model.name}_predictions"
    conn.execute(f"delete from {name} where as_of = %s".encode(), (scope.as_of,))
    statement = f"copy {name} ({', '.join(table_columns(model))}) from stdin"
    # Missing values of any kind are nulls.
    plain = table.astype(object).where(table.notna(), None)
    with conn.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in plain.itertuples(index=False, name=None):
            copy.write_row(row)


def _write_files(
    model: Model[Any, Any, Any], home: Path, scored: Scored[Any, Any], head: ReportHead
) -> tuple[Path, ...]:
    parts = model.report(scored)
    contents = {
        "parquet": parquet_bytes(scored.table),
        "yaml": build_yaml(model, scored, head, parts).encode(),
        "html": build_html(model, scored, head, parts).encode(),
    }
    folder = home / "reports" / model.family
    files = []
    for suffix, content in contents.items():
        path = folder / f"{model.name}_{scored.scope.as_of}_{head.version}.{suffix}"
        replace_file(path, content)
        files.append(path)
    return tuple(files)


def _not_applicable(
    model: Model[Any, Any, Any],
    conn: psycopg.Connection,
    scope: Scope,
    why: str,
    started: float,
) -> InferResult:
    """Record that there is nothing to say; what an earlier run said of this night goes."""
    message = f"not applicable: {why}"
    seconds = time.perf_counter() - started
    conn.commit()
    with conn.transaction():
        registry.lock_model(conn, model.name)
        conn.execute(
            f"delete from ml.{model.name}_predictions where as_of = %s".encode(), (scope.as_of,)
        )
        registry.record_run(
            conn, "infer", model.name, None, scope.as_of, "not_applicable", 0, seconds, message
        )
    log.info("%s: %s", model.name, message)
    return InferResult(
        model.name, model.family, scope.as_of, "not_applicable", None, 0, (), None, message, seconds
    )
