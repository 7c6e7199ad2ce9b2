"""Runs one model by itself: `python -m ml.run train|infer --model kmeans --as-of 1998-07-01`.

Addresses come from the environment: WAREHOUSE_URL, and AMATO_HOME for files.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from ml import registry
from ml.artefacts import ArtefactError
from ml.customer_segmentation import config as kmeans
from ml.customer_segmentation.infer import infer as infer_kmeans
from ml.customer_segmentation.train import train as train_kmeans
from ml.features import MartMissingError
from ml.reports import write_master_report
from ml.results import InferResult, TrainResult, plain


@dataclass(frozen=True)
class ModelSpec:
    """One model: how it trains and scores a night, with a window in months."""

    train: Callable[[psycopg.Connection, date, Path, int], TrainResult]
    infer: Callable[[psycopg.Connection, date, Path, int], InferResult]


MODELS: dict[str, ModelSpec] = {
    kmeans.MODEL: ModelSpec(
        lambda conn, as_of, home, months: train_kmeans(
            conn, as_of, home, kmeans.SegmentationConfig(window_months=months)
        ),
        lambda conn, as_of, home, months: infer_kmeans(
            conn, as_of, home, kmeans.SegmentationConfig(window_months=months)
        ),
    ),
}


def model_spec(name: str) -> ModelSpec:
    """Return a model by its name.

    Raises:
        ValueError: there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(sorted(MODELS))}")
    return MODELS[name]


def train_model(
    name: str, conn: psycopg.Connection, as_of: date, home: Path, window_months: int = 3
) -> dict[str, Any]:
    """Train one model, and return its `TrainResult` as plain data (JSON can hold it).

    A failure is recorded in `ml.model_runs` and raised again.
    """
    step = model_spec(name).train
    return _recorded("train", name, conn, as_of, lambda: step(conn, as_of, home, window_months))


def infer_model(
    name: str, conn: psycopg.Connection, as_of: date, home: Path, window_months: int = 3
) -> dict[str, Any]:
    """Score with one model, and return its `InferResult` as plain data (JSON can hold it).

    A failure is recorded in `ml.model_runs` and raised again.
    """
    step = model_spec(name).infer
    return _recorded("infer", name, conn, as_of, lambda: step(conn, as_of, home, window_months))


def _recorded(
    kind: registry.Kind,
    name: str,
    conn: psycopg.Connection,
    as_of: date,
    step: Callable[[], TrainResult | InferResult],
) -> dict[str, Any]:
    """Run a step; record its failure before it is raised again."""
    started = time.perf_counter()
    try:
        return plain(step())
    except Exception as error:
        _record_failure(kind, name, conn, as_of, started, error)
        raise


def _record_failure(
    kind: registry.Kind,
    name: str,
    conn: psycopg.Connection,
    as_of: date,
    started: float,
    error: Exception,
) -> None:
    if conn.closed:  # the connection itself failed: there is nowhere to record it
        return
    conn.rollback()
    seconds = time.perf_counter() - started
    message = f"{type(error).__name__}: {error}"
    with conn.transaction():
        registry.record_run(conn, kind, name, None, as_of, "failed", 0, seconds, message)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ml.run", description=__doc__)
    parser.add_argument("kind", choices=["train", "infer", "report"])
    parser.add_argument("--model", choices=sorted(MODELS), default="kmeans")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--window-months", type=int, choices=[1, 2, 3], default=3)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    missing = [name for name in ("WAREHOUSE_URL", "AMATO_HOME") if not os.environ.get(name)]
    if missing:
        print(f"set {' and '.join(missing)} first (see `make env`)", file=sys.stderr)
        return 2
    home, as_of, months = Path(os.environ["AMATO_HOME"]), options.as_of, options.window_months
    try:
        with psycopg.connect(
            os.environ["WAREHOUSE_URL"], options="-c role=amato_scientist"
        ) as conn:
            if options.kind == "train":
                print(train_model(options.model, conn, as_of, home, months)["message"])
            elif options.kind == "infer":
                print(infer_model(options.model, conn, as_of, home, months)["message"])
            else:
                print(write_master_report(conn, as_of, home)[1])
    except (ArtefactError, MartMissingError, psycopg.OperationalError) as error:
        print(f"{options.kind} failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
