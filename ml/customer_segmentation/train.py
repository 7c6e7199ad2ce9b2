"""Training of the K-means segmentation: learn from older history, prove it, and register it."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pandas as pd
import psycopg

from ml import artefacts, registry
from ml.customer_segmentation.config import FAMILY, MODEL, MODEL_FEATURES, SegmentationConfig
from ml.customer_segmentation.evaluate import Split, judge, split
from ml.customer_segmentation.model import distinct_points, fit, to_content
from ml.customer_segmentation.versions import artefact_path, readable, version_name
from ml.features import fingerprint, purchase_features
from ml.metrics import Metric
from ml.results import TrainResult
from ml.windows import months_before
from report_pages.files import replace_file

log = logging.getLogger(__name__)


def train(
    conn: psycopg.Connection,
    as_of: date,
    home: Path,
    config: SegmentationConfig | None = None,
) -> TrainResult:
    """Train on what was known before the inference window, and register the version.

    The artefact is written whole before the one transaction that registers it, its figures and
    its promotion: stopping anywhere leaves the champion as it was. The same data and settings
    are the same version, which is then left as it is. Too few customers end `not_applicable`.

    Raises:
        MartMissingError: the marts are not there.
    """
    config = config or SegmentationConfig()
    started = time.perf_counter()
    cutoff = months_before(as_of, config.window_months)
    frame = purchase_features(conn, cutoff)
    parts = split(frame, config)
    short = _too_little(parts, frame, config, cutoff)
    if short:
        return _not_applicable(conn, as_of, len(frame), short, started)

    data = fingerprint(frame)
    name = version_name(cutoff, config, data)
    known = registry.find_version(conn, MODEL, name)
    if known is not None and readable(home, known) is not None:
        return _unchanged(conn, known, as_of, started)

    # What served this night before: a later champion would leak what came after it.
    earlier = [v for v in registry.serving_versions(conn, MODEL, as_of) if v.version != name]
    reigning = next((m for v in earlier if (m := readable(home, v)) is not None), None)
    model = fit(parts.fit, config, str(cutoff), previous=reigning)
    verdict = judge(model, reigning, parts, config)
    payload = artefacts.dump(to_content(model))
    path = artefact_path(name)
    replace_file(home / path, payload)
    version = registry.ModelVersion(
        model=MODEL,
        version=name,
        family=FAMILY,
        as_of=known.as_of if known else as_of,
        artefact=path.as_posix(),
        sha256=artefacts.sha256(payload),
        params={**asdict(config), "trained_until": str(cutoff)},
        features=MODEL_FEATURES,
        data_fingerprint=data,
        trained_rows=len(parts.fit),
    )
    message = verdict.message + (" (its artefact was lost and is made again)" if known else "")
    conn.commit()  # ends the reading transaction, so that the lock below sees what is new
    with conn.transaction():
        registry.lock_model(conn, MODEL)
        registry.save_version(conn, version, verdict.metrics)
        if verdict.promoted and known is None:
            registry.promote(conn, MODEL, name, as_of)
        seconds = time.perf_counter() - started
        registry.record_run(
            conn, "train", MODEL, name, as_of, "success", len(parts.fit), seconds, message
        )
    log.info("%s %s: %s", MODEL, name, message)
    return _result(conn, as_of, name, True, len(parts.fit), verdict.metrics, message, seconds)


def _too_little(
    parts: Split, frame: pd.DataFrame, config: SegmentationConfig, cutoff: date
) -> str | None:
    """Return why there is too little to learn from, or None."""
    if len(frame) < config.min_customers:
        return (
            f"{len(frame)} customers had bought before {cutoff}; {config.min_customers} are needed"
        )
    points = distinct_points(parts.fit)
    if points < config.segments:
        return (
            f"the customers who had bought before {cutoff} make only {points} different "
            f"profiles; {config.segments} segments need at least as many"
        )
    return None


def _not_applicable(
    conn: psycopg.Connection, as_of: date, rows: int, message: str, started: float
) -> TrainResult:
    seconds = time.perf_counter() - started
    message = f"not applicable: {message}"
    conn.commit()
    with conn.transaction():
        registry.record_run(
            conn, "train", MODEL, None, as_of, "not_applicable", rows, seconds, message
        )
    log.info("%s: %s", MODEL, message)
    return TrainResult(
        MODEL, FAMILY, as_of, "not_applicable", None, False, False, rows, (), message, seconds
    )


def _unchanged(
    conn: psycopg.Connection, known: registry.ModelVersion, as_of: date, started: float
) -> TrainResult:
    message = "the same data and settings as before: nothing to learn anew"
    seconds = time.perf_counter() - started
    metrics = registry.read_metrics(conn, MODEL, known.version)
    conn.commit()
    with conn.transaction():
        registry.record_run(
            conn,
            "train",
            MODEL,
            known.version,
            as_of,
            "success",
            known.trained_rows,
            seconds,
            message,
        )
    log.info("%s %s: %s", MODEL, known.version, message)
    return _result(conn, as_of, known.version, False, known.trained_rows, metrics, message, seconds)


def _result(
    conn: psycopg.Connection,
    as_of: date,
    version: str,
    changed: bool,
    rows: int,
    metrics: tuple[Metric, ...],
    message: str,
    seconds: float,
) -> TrainResult:
    reigning = registry.champion(conn, MODEL)
    conn.commit()
    return TrainResult(
        model=MODEL,
        family=FAMILY,
        as_of=as_of,
        state="success",
        version=version,
        changed=changed,
        promoted=reigning is not None and reigning.version == version,
        trained_rows=rows,
        metrics=metrics,
        message=message,
        seconds=seconds,
    )
