"""Runs one model by itself: `python -m ml.run train|infer|watch --model kmeans --as-of 1998-07-01`.

Without `--model` it runs all of them, one after the other; one that fails stops no other. Addresses
come from the environment: WAREHOUSE_URL, and AMATO_HOME for files.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from ml import registry
from ml.artefacts import ArtefactError
from ml.catalogue import CATALOGUE, find_model
from ml.features import MartMissingError
from ml.lifecycle.inference import infer
from ml.lifecycle.training import train
from ml.lifecycle.watching import watch
from ml.model import WINDOW_MONTHS, Scope
from ml.reports import write_master_report
from ml.results import InferResult, TrainResult, WatchResult, plain

log = logging.getLogger(__name__)


def train_model(name: str, conn: psycopg.Connection, scope: Scope, home: Path) -> dict[str, Any]:
    """Train one model, and return its `TrainResult` as plain data (JSON can hold it).

    A failure is recorded in `ml.model_runs` and raised again.
    """
    model = find_model(name)
    return _recorded("train", name, conn, scope.as_of, lambda: train(model, conn, scope, home))


def infer_model(name: str, conn: psycopg.Connection, scope: Scope, home: Path) -> dict[str, Any]:
    """Score with one model, and return its `InferResult` as plain data (JSON can hold it).

    A failure is recorded in `ml.model_runs` and raised again.
    """
    model = find_model(name)
    return _recorded("infer", name, conn, scope.as_of, lambda: infer(model, conn, scope, home))


def watch_model(name: str, conn: psycopg.Connection, scope: Scope) -> dict[str, Any]:
    """Look back at one model's predictions, and return its `WatchResult` as plain data.

    A failure is recorded in `ml.model_runs` and raised again.
    """
    model = find_model(name)
    return _recorded("watch", name, conn, scope.as_of, lambda: watch(model, conn, scope))


def _recorded(
    kind: registry.Kind,
    name: str,
    conn: psycopg.Connection,
    as_of: date,
    step: Callable[[], TrainResult | InferResult | WatchResult],
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


def _json_object(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object")
    return content


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ml.run", description=__doc__)
    parser.add_argument("kind", choices=["train", "infer", "watch", "report"])
    parser.add_argument("--model", choices=sorted(CATALOGUE))
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--window-months", type=int, choices=WINDOW_MONTHS, default=3)
    parser.add_argument("--options", type=_json_object, default={}, help="a JSON object")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    missing = [name for name in ("WAREHOUSE_URL", "AMATO_HOME") if not os.environ.get(name)]
    if missing:
        print(f"set {' and '.join(missing)} first (see `make env`)", file=sys.stderr)
        return 2
    scope = Scope(options.as_of, options.window_months, options.options)
    names = [options.model] if options.model else list(CATALOGUE)
    if options.kind == "report":
        names = names[:1]  # the report is of all models at once
    failed = [name for name in names if not _run(options.kind, name, scope)]
    if failed:
        print(f"{options.kind} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(kind: str, name: str, scope: Scope) -> bool:
    """Run one model; returns whether it ended well."""
    home = Path(os.environ["AMATO_HOME"])
    try:
        with psycopg.connect(
            os.environ["WAREHOUSE_URL"], options="-c role=amato_scientist"
        ) as conn:
            if kind == "train":
                print(f"{name}: {train_model(name, conn, scope, home)['message']}")
            elif kind == "infer":
                print(f"{name}: {infer_model(name, conn, scope, home)['message']}")
            elif kind == "watch":
                print(f"{name}: {watch_model(name, conn, scope)['message']}")
            else:
                print(write_master_report(conn, scope.as_of, home)[1])
    except (ArtefactError, MartMissingError, psycopg.OperationalError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return False
    except Exception:  # whatever it is, the other models are still to be run
        log.exception("%s failed", name)
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
