"""The registry of models: versions, the champion, runs and figures, in schema `ml`.

Functions take an open connection that acts as `amato_scientist`. Those that write leave the
commit to the caller, so that a version, its figures and its promotion are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any, Literal

import psycopg

from ml.metrics import Metric

Kind = Literal["train", "infer", "watch"]
BASELINE = "baseline"
RunState = Literal["success", "failed", "not_applicable"]


@dataclass(frozen=True)
class ModelVersion:
    """A trained model. `artefact` is relative to AMATO_HOME; `as_of` is its training run's."""

    model: str
    version: str
    family: str
    as_of: date
    artefact: str
    sha256: str
    params: dict[str, Any]
    features: tuple[str, ...]
    data_fingerprint: str
    trained_rows: int

    @property
    def trained_until(self) -> date:
        """The day before which all of its training data lies."""
        return date.fromisoformat(str(self.params["trained_until"]))

    @property
    def is_baseline(self) -> bool:
        """Whether it is the model's named baseline."""
        return self.params.get("kind") == BASELINE


_COLUMNS = (
    "model, version, family, as_of, artefact, sha256, params, features, data_fingerprint,"
    " trained_rows"
)


def _version(row: tuple[Any, ...]) -> ModelVersion:
    values = list(row)
    values[7] = tuple(values[7])
    return ModelVersion(*values)


def _versions(
    conn: psycopg.Connection, condition: str, params: dict[str, Any]
) -> list[ModelVersion]:
    query = f"select {_COLUMNS} from ml.model_versions where {condition}"
    return [_version(row) for row in conn.execute(query.encode(), params).fetchall()]


def lock_model(conn: psycopg.Connection, model: str) -> None:
    """Keep other sessions from writing this model until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"ml.{model}",))


def find_version(conn: psycopg.Connection, model: str, version: str) -> ModelVersion | None:
    """Return a version by its name, or None."""
    found = _versions(
        conn, "model = %(model)s and version = %(version)s", {"model": model, "version": version}
    )
    return found[0] if found else None


def champion(conn: psycopg.Connection, model: str) -> ModelVersion | None:
    """Return the version that is champion now, or None."""
    found = _versions(conn, "model = %(model)s and is_champion", {"model": model})
    return found[0] if found else None


def champion_version(conn: psycopg.Connection, model: str) -> str | None:
    """Return the name of the version that is champion now, or None."""
    found = champion(conn, model)
    return found.version if found else None


def serving_versions(conn: psycopg.Connection, model: str, as_of: date) -> list[ModelVersion]:
    """Return the versions that may score the night `as_of`, best first.

    First comes the champion of that night, then earlier champions, latest first, to fall back
    on, then versions that never were champion. None has seen a day after `as_of`.
    """
    return _versions(
        conn,
        "model = %(model)s and as_of <= %(as_of)s"
        " order by case when promoted_as_of <= %(as_of)s then promoted_as_of end desc nulls last,"
        " as_of desc, is_champion desc, version desc",
        {"model": model, "as_of": as_of},
    )


def save_version(
    conn: psycopg.Connection, version: ModelVersion, metrics: Sequence[Metric]
) -> None:
    """Write a version and its figures, in place of those it had."""
    conn.execute(
        f"insert into ml.model_versions ({_COLUMNS})"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (model, version) do update set artefact = excluded.artefact,"
        " sha256 = excluded.sha256, params = excluded.params,"
        " features = excluded.features".encode(),
        (
            version.model,
            version.version,
            version.family,
            version.as_of,
            version.artefact,
            version.sha256,
            json.dumps(version.params, sort_keys=True),
            json.dumps(version.features),
            version.data_fingerprint,
            version.trained_rows,
        ),
    )
    save_metrics(conn, version.model, version.version, version.as_of, metrics)


def save_metrics(
    conn: psycopg.Connection, model: str, version: str, as_of: date, metrics: Sequence[Metric]
) -> None:
    """Write figures of a version as of a night, in place of those it had."""
    conn.execute(
        "delete from ml.model_metrics where model = %s and version = %s and as_of = %s",
        (model, version, as_of),
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ml.model_metrics"
            " (model, version, as_of, metric, value, low, high, baseline, baseline_value)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(model, version, as_of, *astuple(metric)) for metric in metrics],
        )


def read_metrics(conn: psycopg.Connection, model: str, version: str) -> tuple[Metric, ...]:
    """Return the figures of a version, as its training run wrote them, by name."""
    rows = conn.execute(
        "select m.metric, m.value, m.low, m.high, m.baseline, m.baseline_value"
        " from ml.model_metrics as m join ml.model_versions as v using (model, version, as_of)"
        " where m.model = %s and m.version = %s order by m.metric",
        (model, version),
    ).fetchall()
    return tuple(Metric(*row) for row in rows)


def promote(conn: psycopg.Connection, model: str, version: str, as_of: date) -> None:
    """Make a version the champion from the night `as_of` on.

    A version promoted for an older night than the present champion's serves the nights in
    between, and the present champion stays.
    """
    conn.execute(
        "update ml.model_versions set promoted_as_of = %s where model = %s and version = %s",
        (as_of, model, version),
    )
    latest = conn.execute(
        "select version from ml.model_versions where model = %s and promoted_as_of is not null"
        " order by promoted_as_of desc, version = %s desc, version desc limit 1",
        (model, version),
    ).fetchone()
    winner = latest[0] if latest else version
    # First off, then on: at no moment may there be two champions.
    conn.execute(
        "update ml.model_versions set is_champion = false"
        " where model = %s and is_champion and version <> %s",
        (model, winner),
    )
    conn.execute(
        "update ml.model_versions set is_champion = true where model = %s and version = %s",
        (model, winner),
    )


def record_run(
    conn: psycopg.Connection,
    kind: Kind,
    model: str,
    version: str | None,
    as_of: date,
    state: RunState,
    rows: int,
    seconds: float,
    message: str,
) -> None:
    """Add a line to the log of runs."""
    conn.execute(
        "insert into ml.model_runs (kind, model, version, as_of, state, rows, seconds, message)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (kind, model, version, as_of, state, rows, seconds, message),
    )


def request_retraining(conn: psycopg.Connection, model: str, as_of: date, reason: str) -> None:
    """Ask for the next night to train a model, whatever its weekday."""
    conn.execute(
        "insert into ml.retraining_requests (model, as_of, reason) values (%s, %s, %s)"
        " on conflict (model, as_of) do update set reason = excluded.reason",
        (model, as_of, reason),
    )


def retraining_reason(conn: psycopg.Connection, model: str, as_of: date) -> str | None:
    """Return why a model is to be trained before its day, or None.

    A request holds until the model has been trained on a later night.
    """
    row = conn.execute(
        "select reason from ml.retraining_requests where model = %(model)s and as_of < %(as_of)s"
        " and as_of >= coalesce((select max(as_of) from ml.model_runs where model = %(model)s"
        " and kind = 'train' and state <> 'failed' and as_of <= %(as_of)s), '-infinity')"
        " order by as_of desc limit 1",
        {"model": model, "as_of": as_of},
    ).fetchone()
    return str(row[0]) if row else None
