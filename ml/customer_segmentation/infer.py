"""Scoring of every customer with the champion segmentation."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from ml import artefacts, registry
from ml.customer_segmentation.config import (
    FAMILY,
    MODEL,
    NO_PURCHASE_SEGMENT,
    NO_PURCHASE_TYPE,
    SegmentationConfig,
)
from ml.customer_segmentation.model import Segmentation, predict
from ml.customer_segmentation.profiles import profile_segments
from ml.customer_segmentation.report import ReportInput, build_html, build_yaml
from ml.customer_segmentation.versions import load_version
from ml.features import customers_without_purchase, purchase_features
from ml.outputs import parquet_bytes
from ml.results import InferResult
from ml.standing import night_mark
from ml.windows import months_before
from report_pages.files import replace_file

log = logging.getLogger(__name__)

RESULT_COLUMNS = (
    "entity_type",
    "entity_id",
    "target_date",
    "as_of",
    "model_version",
    "customer_id",
    "kmeans_segment",
    "kmeans_segment_type",
    "kmeans_confidence",
    "kmeans_avg_monetary",
    "kmeans_avg_frequency",
    "kmeans_segment_size",
    "trained_as_of",
)


@dataclass(frozen=True)
class Serving:
    """The version that scores a night, and the champion it stands in for, if any."""

    version: registry.ModelVersion
    model: Segmentation
    fallback_from: str | None


def choose_version(conn: psycopg.Connection, as_of: date, home: Path) -> Serving | None:
    """Return the champion of the night `as_of`, or the last good version before it.

    Returns None where no version exists yet.

    Raises:
        ArtefactError: there are versions, but no artefact of theirs can be used.
    """
    candidates = registry.serving_versions(conn, MODEL, as_of)
    problems: list[str] = []
    for version in candidates:
        try:
            model = load_version(home, version)
        except artefacts.ArtefactError as error:
            log.error("%s %s cannot serve: %s", MODEL, version.version, error)
            problems.append(str(error))
            continue
        fallback = candidates[0].version if version is not candidates[0] else None
        if fallback:
            log.error("%s falls back from %s to %s", MODEL, fallback, version.version)
        return Serving(version, model, fallback)
    if not problems:
        return None
    raise artefacts.ArtefactError(
        f"no version of {MODEL} can be used: {'; '.join(problems)}. Train again: run the DAG "
        f"train_models, or `python -m ml.run train --model {MODEL} --as-of {as_of}`."
    )


def score(frame: pd.DataFrame, without: list[str], serving: Serving, as_of: date) -> pd.DataFrame:
    """Return the predictions, one row a customer, ordered by customer id.

    `frame` holds the features of customers who have bought; `without` the ids of those who
    have not. The latter form a group of their own: K-means is about purchases.
    """
    assignment = predict(serving.model, frame)
    scored = pd.DataFrame(
        {
            "customer_id": frame["customer_id"],
            "kmeans_segment": assignment.segment,
            "kmeans_confidence": assignment.confidence,
            "monetary": frame["monetary"],
            "frequency": frame["frequency"],
        }
    )
    none = pd.DataFrame(
        {
            "customer_id": pd.Series(without, dtype=scored["customer_id"].dtype),
            "kmeans_segment": np.full(len(without), NO_PURCHASE_SEGMENT, dtype=np.int64),
            "kmeans_confidence": np.ones(len(without)),
            "monetary": np.zeros(len(without)),
            "frequency": np.zeros(len(without)),
        }
    )
    table = pd.concat([part for part in (scored, none) if len(part)] or [scored])
    names = {NO_PURCHASE_SEGMENT: NO_PURCHASE_TYPE, **dict(enumerate(serving.model.names))}
    grouped = table.groupby("kmeans_segment")
    table["kmeans_segment_type"] = table["kmeans_segment"].map(names)
    table["kmeans_avg_monetary"] = grouped["monetary"].transform("mean").round(2)
    table["kmeans_avg_frequency"] = grouped["frequency"].transform("mean").round(4)
    table["kmeans_segment_size"] = grouped["customer_id"].transform("size").astype("int64")
    table["entity_type"] = "customer"
    table["entity_id"] = table["customer_id"]
    table["target_date"] = as_of
    table["as_of"] = as_of
    table["model_version"] = serving.version.version
    table["trained_as_of"] = serving.version.trained_until
    table = table.sort_values("customer_id", kind="stable", ignore_index=True)
    return table.loc[:, list(RESULT_COLUMNS)]


def save_predictions(conn: psycopg.Connection, table: pd.DataFrame, as_of: date) -> None:
    """Put the predictions of a night in place of those it had, of whatever version.

    So a night holds one row a customer, also after another version has scored it again.
    """
    conn.execute("delete from ml.kmeans_predictions where as_of = %s", (as_of,))
    statement = f"copy ml.kmeans_predictions ({', '.join(RESULT_COLUMNS)}) from stdin"
    with conn.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in table.itertuples(index=False, name=None):
            copy.write_row(row)


def infer(
    conn: psycopg.Connection,
    as_of: date,
    home: Path,
    config: SegmentationConfig | None = None,
) -> InferResult:
    """Score every customer known on the night `as_of`, and write table, files and report.

    The files are written whole, then the night's predictions are replaced in one transaction:
    stopping anywhere leaves the last predictions. Scoring again gives the same bytes and rows.
    Without any trained version the state is `not_applicable`.

    Raises:
        ArtefactError: no artefact of any version can be used.
        MartMissingError: the marts are not there.
    """
    config = config or SegmentationConfig()
    started = time.perf_counter()
    serving = choose_version(conn, as_of, home)
    if serving is None:
        return _not_applicable(conn, as_of, started)
    frame = purchase_features(conn, as_of)
    without = customers_without_purchase(conn, as_of, list(frame["customer_id"]))
    table = score(frame, without, serving, as_of)
    window_start = months_before(as_of, config.window_months)
    report = ReportInput(
        as_of=as_of,
        version=serving.version.version,
        trained_until=serving.version.trained_until,
        trained_rows=serving.version.trained_rows,
        window_start=window_start,
        fallback_from=serving.fallback_from,
        profiles=profile_segments(frame, table, serving.model.names, (as_of - window_start).days),
        metrics=registry.read_metrics(conn, MODEL, serving.version.version),
        mark=night_mark(conn, as_of),
    )
    files = _write_files(home, as_of, serving.version.version, table, report)
    message = f"{len(table):,} customers scored with {serving.version.version}"
    if serving.fallback_from:
        message += f" in place of {serving.fallback_from}, whose artefact cannot be used"
    conn.commit()  # ends the reading transaction, so that the lock below sees what is new
    with conn.transaction():
        registry.lock_model(conn, MODEL)
        save_predictions(conn, table, as_of)
        seconds = time.perf_counter() - started
        registry.record_run(
            conn,
            "infer",
            MODEL,
            serving.version.version,
            as_of,
            "success",
            len(table),
            seconds,
            message,
        )
    log.info("%s: %s", MODEL, message)
    return InferResult(
        MODEL,
        FAMILY,
        as_of,
        "success",
        serving.version.version,
        len(table),
        files,
        serving.fallback_from,
        message,
        seconds,
    )


def _write_files(
    home: Path, as_of: date, version: str, table: pd.DataFrame, report: ReportInput
) -> tuple[Path, ...]:
    folder = home / "reports" / FAMILY
    contents: dict[str, Any] = {
        "parquet": parquet_bytes(table),
        "yaml": build_yaml(report).encode(),
        "html": build_html(report).encode(),
    }
    files = []
    for suffix, data in contents.items():
        path = folder / f"{MODEL}_{as_of}_{version}.{suffix}"
        replace_file(path, data)
        files.append(path)
    return tuple(files)


def _not_applicable(conn: psycopg.Connection, as_of: date, started: float) -> InferResult:
    message = "not applicable: no version has been trained on history before this night"
    seconds = time.perf_counter() - started
    conn.commit()
    with conn.transaction():
        registry.record_run(
            conn, "infer", MODEL, None, as_of, "not_applicable", 0, seconds, message
        )
    log.info("%s: %s", MODEL, message)
    return InferResult(MODEL, FAMILY, as_of, "not_applicable", None, 0, (), None, message, seconds)
