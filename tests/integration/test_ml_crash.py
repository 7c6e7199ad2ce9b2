"""A process killed in the middle leaves the champion and the last predictions whole.

The process is stopped at a chosen place by a lock that the test holds, and killed there.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from ml import registry
from ml.lifecycle.inference import infer
from ml.lifecycle.training import train
from ml.lifecycle.watching import watch
from ml.model import Scope
from ml.run import infer_model, train_model
from tests.integration.ml_support import (
    checksum,
    group_orders,
    make_marts,
    scientist,
    tree_hashes,
)
from tests.integration.tiny_model import FALL, Tiny, make_shop

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(1998, 7, 1)
LATER = date(1998, 8, 1)
STATE = (
    "ml.model_versions",
    "ml.model_metrics",
    "ml.kmeans_predictions",
    "ml.retraining_requests",
)

BEFORE_WRITING = "select pg_advisory_lock(hashtext('ml.{model}'))"
"""Held by the test, this stops a run when its files are written and no row is."""
BEFORE_COMMIT = "lock table ml.model_runs in exclusive mode"
"""This one stops it when all its rows are written, and not committed."""


@pytest.fixture
def shop(warehouse_url: str, tmp_path: Path) -> str:
    """A warehouse whose night AS_OF is trained, and scored by its baseline."""
    orders = group_orders(60, until=LATER)
    make_marts(warehouse_url, orders, ["Z0"], since=date(1998, 4, 1))
    with scientist(warehouse_url) as conn:
        train_model("kmeans", conn, Scope(AS_OF), tmp_path)
        (baseline,) = conn.execute(
            "select version from ml.model_versions where params ->> 'kind' = 'baseline'"
        ).fetchall()
        registry.promote(conn, "kmeans", baseline[0], AS_OF)
        infer_model("kmeans", conn, Scope(AS_OF), tmp_path)
    return warehouse_url


@contextmanager
def stopped_at(
    url: str, home: Path, lock: str, kind: str, as_of: date, model: str = "kmeans"
) -> Iterator[None]:
    """Start a run, wait until it waits for the lock, and kill it there."""
    module = "tests.integration.tiny_model" if model == "tiny" else "ml.run"
    with psycopg.connect(url) as holder:
        holder.execute(lock.format(model=model).encode())
        process = subprocess.Popen(
            [sys.executable, "-m", module, kind, "--model", model, "--as-of", str(as_of)],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "WAREHOUSE_URL": url,
                "AMATO_HOME": str(home),
            },
        )
        try:
            wait_until_waiting(url, process)
            yield
        finally:
            process.kill()
            process.wait()


def wait_until_waiting(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once a session of this database waits for a lock."""
    deadline = time.monotonic() + 120
    with psycopg.connect(url, autocommit=True) as conn:
        while time.monotonic() < deadline:
            waiting = conn.execute(
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and wait_event_type = 'Lock'"
            ).fetchone()
            if waiting != (0,):
                return
            assert process.poll() is None, "the run ended before it reached the lock"
            time.sleep(0.05)
    raise AssertionError("the run never reached the lock")


def wait_until_alone(url: str) -> None:
    """Return once the killed run's session is gone, and with it what it had not committed."""
    deadline = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as conn:
        while time.monotonic() < deadline:
            others = conn.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).fetchone()
            if others == (0,):
                return
            time.sleep(0.05)
    raise AssertionError("the killed run's session is still there")


@pytest.mark.parametrize("lock", [BEFORE_WRITING, BEFORE_COMMIT])
@pytest.mark.parametrize("kind", ["train", "infer"])
def test_a_killed_run_leaves_all_as_it_was_and_can_be_run_again(
    shop: str, tmp_path: Path, lock: str, kind: str
) -> None:
    if kind == "infer":
        with scientist(shop) as conn:
            infer_model("kmeans", conn, Scope(LATER), tmp_path)
            train_model("kmeans", conn, Scope(LATER), tmp_path)
    before, files = checksum(shop, *STATE), tree_hashes(tmp_path)
    # Training makes a new champion; scoring would replace the first champion's predictions.
    with stopped_at(shop, tmp_path, lock, kind, LATER):
        pass
    wait_until_alone(shop)
    assert checksum(shop, *STATE) == before
    now = tree_hashes(tmp_path)
    assert {name: now[name] for name in files} == files
    assert not [name for name in now if name.endswith(".tmp")]

    with scientist(shop) as conn:
        # The night before still scores with its champion, to the same rows.
        infer_model("kmeans", conn, Scope(AS_OF), tmp_path)
        assert checksum(shop, *STATE) == before
        trained = train_model("kmeans", conn, Scope(LATER), tmp_path)
        scored = infer_model("kmeans", conn, Scope(LATER), tmp_path)
    assert trained["promoted"]
    assert scored["version"] == trained["version"]
    after = checksum(shop, *STATE)
    with scientist(shop) as conn:
        train_model("kmeans", conn, Scope(LATER), tmp_path)
        infer_model("kmeans", conn, Scope(LATER), tmp_path)
    assert checksum(shop, *STATE) == after


@pytest.mark.parametrize("lock", [BEFORE_WRITING, BEFORE_COMMIT])
def test_a_killed_look_back_leaves_all_as_it_was_and_can_be_run_again(
    warehouse_url: str, tmp_path: Path, lock: str
) -> None:
    make_shop(warehouse_url)
    state, model = (*STATE, "ml.tiny_predictions"), Tiny()
    look = FALL + timedelta(days=30)
    with scientist(warehouse_url) as conn:
        train(model, conn, Scope(AS_OF), tmp_path)
        infer(model, conn, Scope(FALL), tmp_path)
        watch(model, conn, Scope(look))
        # An earlier look had said otherwise: the next one has rows to take away and to write.
        conn.execute("update ml.model_metrics set value = 0 where metric = 'outcome_mae'")
        conn.execute("update ml.retraining_requests set reason = 'another'")
    before = checksum(warehouse_url, *state)
    with stopped_at(warehouse_url, tmp_path, lock, "watch", look, "tiny"):
        pass
    wait_until_alone(warehouse_url)
    assert checksum(warehouse_url, *state) == before
    with scientist(warehouse_url) as conn:
        found = watch(model, conn, Scope(look))
        after = checksum(warehouse_url, *state)
        assert after != before
        assert registry.retraining_reason(conn, "tiny", look + timedelta(days=1)) == found.reason
        watch(model, conn, Scope(look))
    assert checksum(warehouse_url, *state) == after
