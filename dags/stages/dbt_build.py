"""Runs dbt in this process: one layer of the project at a time, and its docs.

Nothing is written into the repository: target, logs and state live in ``AMATO_HOME/dbt``.
The password reaches dbt through the environment of this process alone.
"""

from __future__ import annotations

import gc
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from dags.stages.dbt_manifest import (
    keep_manifest,
    parsed_folder,
    project_digest,
    read_manifest,
)
from dags.stages.dbt_results import (
    DbtConnectionLostError,
    DbtFailedError,
    ModelResult,
    failure,
    is_ours,
    log_event,
    one_line,
    to_result,
    write_results,
)
from dags.stages.dbt_state import LAYERS, PROJECT_NAME, Layer, begin, finish, state_folder
from dags.stages.gate import write_unjudged_file
from dags.stages.gate_builds import BUILD_LOCK, PAST, note_build
from report_pages.files import replace_file

__all__ = [
    "LAYERS",
    "DbtConnectionLostError",
    "DbtFailedError",
    "Layer",
    "ModelResult",
    "build_layer",
    "build_past_night",
    "generate_docs",
]

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
# The one script that dbt's docs page would fetch from elsewhere (a usage tracker).
TRACKER = "//d1fc8wv8zag5ca.cloudfront.net/2.9.0/sp.js"
# dbt's page cuts the description of every column off after a few words, and shows some twenty
# columns at a time.
WHOLE_DESCRIPTIONS = """<style>
tr.column-row > td[style*="nowrap"] {
  white-space: normal !important; max-width: none !important; width: 100%;
}
tr.column-row > td, table:has(tr.column-row) th {
  padding-left: 6px !important; padding-right: 6px !important;
}
div.table-responsive { max-height: none !important; }
</style>"""
# How PostgreSQL runs what dbt sends it.
SETTINGS = {
    # Compiling a query takes longer than most of the project's queries and tests do.
    "jit": "off",
    # PostgreSQL knows no statistics of expressions, and what it guesses of them would sort whole
    # tables to merge them.
    "enable_mergejoin": "off",
    "work_mem": "64MB",
    # A window of days ends an hour off where a server's own time zone puts the clocks back in it.
    "timezone": "UTC",
}
PG_OPTIONS = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
# The tables whose rows of earlier nights stay, and all that they are made of.
PAST_NIGHT = "+config.meta.keeps_nights:true"
log = logging.getLogger(__name__)


def build_layer(
    layer: Layer, as_of: date, home: Path, warehouse_url: str, project: Path = PROJECT
) -> list[ModelResult]:
    """Build and test one layer as of a date, with its seeds; returns what was run.

    After a run that failed, the next one for the same layer, date and input builds only what
    failed, what hangs on it, and what was edited since (``dbt_state``). Unit tests say something
    about the project and nothing about the night: they run until the layer has succeeded with
    the project as it is, and again when it is edited. Builds wait for each other, so that a task
    that Airflow happens to run twice does no harm. The gate's verdict on the night is void as
    soon as a build begins, however it ends.

    Raises:
        DbtFailedError: a model or test failed, or dbt could not start.
        DbtConnectionLostError: as above, and the cause is a lost connection.
    """
    with _lock(warehouse_url) as conn:
        note_build(conn, layer, as_of)
        write_unjudged_file(home, as_of)
        digest = project_digest(project)
        selection, proven = begin(layer, as_of, home, conn, digest)
        arguments = ["build", "--indirect-selection", "buildable", "--select"]
        if selection is None:
            arguments.append(f"fqn:{PROJECT_NAME}.{layer}")
        else:
            log.info("dbt %s: building only what failed last time, and what hangs on it", layer)
            arguments += [*selection, "--state", str(state_folder(layer, home))]
        if proven:
            arguments += ["--exclude-resource-type", "unit_test"]
        run, error = _invoke(arguments, as_of, home, warehouse_url, project)
        results = [to_result(item) for item in run.results if is_ours(item)] if run else []
        write_results(conn, layer, as_of, results, replace=selection is None)
        failed = failure(layer, results, error)
        parsed = parsed_folder(home, digest, _database(warehouse_url), past_night=False)
        finish(layer, home, results, parsed / "manifest.json", digest=None if failed else digest)
    if failed:
        raise failed
    log.info("dbt %s: %d nodes, none failed", layer, len(results))
    return results


def build_past_night(
    as_of: date, home: Path, warehouse_url: str, project: Path = PROJECT
) -> list[ModelResult]:
    """Write one night that is over into the tables that keep every night, and nowhere else.

    Everything that these tables are made of is built again as it was known on that night, in
    the schemas ``past_*``, which are empty before and after: the marts go on showing the newest
    night. The results are in ``quality.dbt_run_results`` under the layer ``past``. The verdict on
    the night is void from then on: the gate judges the newest night only.

    Raises:
        DbtFailedError: a model or test failed, or dbt could not start.
        DbtConnectionLostError: as above, and the cause is a lost connection.
    """
    with _lock(warehouse_url) as conn:
        note_build(conn, PAST, as_of)
        write_unjudged_file(home, as_of)
        _empty_past_schemas(conn)
        try:
            arguments = ["build", "--indirect-selection", "cautious", "--select", PAST_NIGHT]
            arguments += ["--exclude-resource-type", "unit_test"]
            run, error = _invoke(arguments, as_of, home, warehouse_url, project, past_night=True)
        finally:
            _empty_past_schemas(conn)
        results = [to_result(item) for item in run.results if is_ours(item)] if run else []
        write_results(conn, PAST, as_of, results, replace=True)
    failed = failure(f"past night {as_of}", results, error)
    if failed:
        raise failed
    log.info("dbt past night %s: %d nodes, none failed", as_of, len(results))
    return results


def _empty_past_schemas(conn: psycopg.Connection[Any]) -> None:
    """Drop what a run for a past night left, also one that was killed."""
    tables = conn.execute(
        "select format('%I.%I', schemaname, tablename) from pg_tables"
        r" where schemaname like 'past\_%' and tableowner = current_user"
    ).fetchall()
    for (table,) in tables:
        conn.execute(f"drop table {table} cascade".encode())


def generate_docs(as_of: date, home: Path, warehouse_url: str, project: Path = PROJECT) -> Path:
    """Write the docs as one page that needs no network; returns ``AMATO_HOME/docs/index.html``.

    Raises:
        DbtFailedError: dbt could not make the docs.
    """
    with _lock(warehouse_url):
        run, error = _invoke(["docs", "generate", "--static"], as_of, home, warehouse_url, project)
        if error or run is None:
            raise DbtFailedError(f"docs: dbt could not make them: {one_line(error)}")
        text = (home / "dbt" / "target" / "static_index.html").read_text(encoding="utf-8")
    page = home / "docs" / "index.html"
    replace_file(page, readable(text))
    log.info("dbt docs: %s", page)
    return page


def readable(page: str) -> str:
    """The docs page as dbt makes it, with whole descriptions and without its usage tracker."""
    page = page.replace(TRACKER, "data:text/javascript,")
    return page.replace("</head>", f"{WHOLE_DESCRIPTIONS}</head>", 1)


def _invoke(
    arguments: list[str],
    as_of: date,
    home: Path,
    warehouse_url: str,
    project: Path,
    *,
    past_night: bool = False,
) -> tuple[Any, BaseException | None]:
    """Run a dbt command; returns its result (None if it could not start) and its exception."""
    from dbt.cli.main import dbtRunner

    folder = home / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    digest = project_digest(project)
    variables: dict[str, object] = {"as_of": as_of.isoformat(), "project_digest": digest}
    if past_night:
        variables["past_night"] = True
    common = [
        *("--project-dir", str(project), "--profiles-dir", str(project)),
        *("--log-path", str(folder / "logs"), "--vars", json.dumps(variables)),
        *("--log-level", "none", "--log-level-file", "info", "--no-use-colors"),
        "--no-send-anonymous-usage-stats",
    ]
    target = ["--target-path", str(folder / "target")]
    with _environment(warehouse_url), _no_collector():
        if arguments[0] != "build":
            outcome = dbtRunner().invoke([*arguments, *common, *target])
        else:
            database = _database(warehouse_url)
            parsed = parsed_folder(home, digest, database, past_night=past_night)
            manifest = read_manifest(parsed)
            if manifest is None:
                outcome = dbtRunner().invoke(["parse", *common, "--target-path", str(parsed)])
                if not outcome.success:
                    return None, outcome.exception
                keep_manifest(parsed)
                manifest = read_manifest(parsed)
            runner = dbtRunner(manifest=manifest, callbacks=[log_event])
            outcome = runner.invoke([*arguments, *common, *target, "--no-write-json"])
    # dbt hands over even the exceptions that are meant to end the process.
    if outcome.exception and not isinstance(outcome.exception, Exception):
        raise outcome.exception
    return outcome.result, outcome.exception


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the cycle collector, whose walks over the project take a fifth of dbt's time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _database(warehouse_url: str) -> str:
    return unquote(urlsplit(warehouse_url).path.strip("/"))


@contextmanager
def _environment(warehouse_url: str) -> Iterator[None]:
    """The variables that profiles.yml reads, set for as long as dbt runs."""
    url = urlsplit(warehouse_url)
    if not url.hostname or not url.path.strip("/"):
        raise ValueError("the warehouse URL needs a host and a database: postgresql://u:p@host/db")
    values = {
        "AMATO_DBT_HOST": url.hostname,
        "AMATO_DBT_PORT": str(url.port or 5432),
        "AMATO_DBT_USER": unquote(url.username or ""),
        "AMATO_DBT_PASSWORD": unquote(url.password or ""),
        "AMATO_DBT_DBNAME": _database(warehouse_url),
        "PGOPTIONS": PG_OPTIONS,
    }
    # libpq reads these by itself, so that sslmode and its files need no place in the profile.
    for name, given in parse_qs(url.query).items():
        if name.startswith("ssl"):
            values[f"PG{name.upper()}"] = given[-1]
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _lock(warehouse_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that holds the lock of all builds; the server frees it if we die."""
    with psycopg.connect(
        warehouse_url, autocommit=True, options="-c role=amato_transformer"
    ) as conn:
        row = conn.execute(f"select pg_try_advisory_lock({BUILD_LOCK})".encode()).fetchone()
        if row is None or not row[0]:
            log.info("another dbt run holds the warehouse: waiting for it")
            conn.execute(f"select pg_advisory_lock({BUILD_LOCK})".encode())
        yield conn
