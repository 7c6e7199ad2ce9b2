"""The look back: predictions are compared with what happened, and ask for training if they fail."""

from __future__ import annotations

import logging
import time
from datetime import date, timedelta
from typing import Any

import pandas as pd
import psycopg

from ml import registry
from ml.lifecycle.inference import table_columns
from ml.model import Model, Scope
from ml.results import WatchResult

log = logging.getLogger(__name__)


def watch(model: Model[Any, Any, Any], conn: psycopg.Connection, scope: Scope) -> WatchResult:
    """Compare the newest predictions whose outcome is known with what happened, and record it.

    The figures go to `ml.model_metrics` under the night of the look, with the version that had
    predicted. Where they are worse than promised, or the gate found that features
    have drifted, `ml.retraining_requests` asks for training. Looking again changes nothing.
    """
    started = time.perf_counter()
    made, version, predictions = _past_predictions(model, conn, scope.as_of)
    outcome = None
    if made is not None:
        outcome = model.outcome(conn, predictions, made, scope.as_of)
    reasons = [outcome.decayed] if outcome is not None and outcome.decayed else []
    drifted = _drifted(conn, scope.as_of)
    if drifted and registry.champion(conn, model.name) is not None:
        reasons.append(f"features have drifted since training: {', '.join(drifted)}")
    reason = "; ".join(reasons) or None
    seen = "no past prediction has come due" if outcome is None else f"predictions of {made} seen"
    message = f"{seen}; {f'asks for training: {reason}' if reason else 'nothing asks for training'}"
    conn.commit()
    with conn.transaction():
        registry.lock_model(conn, model.name)
        if outcome is not None and version is not None:
            registry.save_metrics(conn, model.name, version, scope.as_of, outcome.metrics)
        conn.execute(
            "delete from ml.retraining_requests where model = %s and as_of = %s",
            (model.name, scope.as_of),
        )
        if reason:
            registry.request_retraining(conn, model.name, scope.as_of, reason)
        seconds = time.perf_counter() - started
        state: registry.RunState = "not_applicable" if outcome is None else "success"
        registry.record_run(
            conn, "watch", model.name, version, scope.as_of, state, len(predictions), seconds,
            message,
        )  # fmt: skip
    log.info("%s: %s", model.name, message)
    return WatchResult(model.name, scope.as_of, made, version, reason, message)


def _past_predictions(
    model: Model[Any, Any, Any], conn: psycopg.Connection, as_of: date
) -> tuple[date | None, str | None, pd.DataFrame]:
    """Return the newest night whose outcome is known at `as_of`, its version and predictions."""
    nothing = pd.DataFrame(columns=list(table_columns(model)))
    if model.horizon_days is None:
        return None, None, nothing
    table = f"ml.{model.name}_predictions"
    row = conn.execute(
        f"select max(as_of) from {table} where as_of <= %s".encode(),
        (as_of - timedelta(days=model.horizon_days),),
    ).fetchone()
    if row is None or row[0] is None:
        return None, None, nothing
    columns = table_columns(model)
    query = f"select {', '.join(columns)} from {table} where as_of = %s order by 1, 2, 3"
    frame = pd.DataFrame(conn.execute(query.encode(), (row[0],)).fetchall(), columns=list(columns))
    return row[0], str(frame["model_version"].iloc[0]), frame


def _drifted(conn: psycopg.Connection, as_of: date) -> list[str]:
    """Return the features that the gate found to have drifted this night, the furthest first."""
    rows = conn.execute(
        "select column_name from quality.table_figures where as_of = %s and figure = 'psi'"
        " and value > high order by value desc, column_name",
        (as_of,),
    ).fetchall()
    return [str(row[0]) for row in rows]
