"""The first load fills raw without its key: killed anywhere in that, it leaves no trace.

The loading process is killed, or the warehouse's backend that works for it, which takes the
whole server through crash recovery. A retry gives what an undisturbed run gives.
"""

import os
import signal
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from elt.nights import open_night
from tests.conftest import Servers
from tests.integration.elt.crashing import stopped_load
from tests.integration.elt.support import (
    Source,
    at,
    empty_warehouse,
    fingerprint,
    load_night,
    open_source,
    open_warehouse,
    query,
    reload,
    shared_source,
    shared_warehouse,
)

ROWS = 60
RECOVERY_SECONDS = 60

POINTS = (
    *("key dropped", "copying", "all copied", "defaults dropped", "key built"),
    "committing",
)


@pytest.fixture(scope="module")
def control_url(servers: Servers) -> Iterator[str]:
    with shared_warehouse(servers) as url:
        yield url


def shape(conn: psycopg.Connection[Any], source: Source) -> list[tuple[Any, ...]]:
    """The raw table's indexes, and its columns with their defaults."""
    name = source.spec.raw_name
    return query(
        conn,
        "select pg_get_indexdef(indexrelid), indisvalid, indisprimary from pg_index"
        " where indrelid = to_regclass(%s) order by 1",
        name,
    ) + query(
        conn,
        "select attname, format_type(atttypid, atttypmod), attnotnull,"
        " pg_get_expr(adbin, adrelid) from pg_attribute left join pg_attrdef"
        " on adrelid = attrelid and adnum = attnum"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        name,
    )


def await_recovery(url: str) -> None:
    """Wait until the server, which restarts after a backend was killed, takes connections."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            with psycopg.connect(url, connect_timeout=5):
                return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def prove(
    source: Source, source_url: str, raw_url: str, control_url: str, point: str, victim: str
) -> None:
    """Kill the victim at the point of a first load; then load again."""
    for key in range(ROWS):
        source.put(key, f"row {key}", at(1))
    empty_warehouse(raw_url)
    empty_warehouse(control_url)
    with open_warehouse(raw_url) as conn:
        before = shape(conn, source)
        night = open_night(conn, date(2026, 1, 2))
    assert len([row for row in before if len(row) == 3]) == 1

    with stopped_load(source, source_url, raw_url, night, point) as (child, backend):
        os.kill(child.pid if victim == "process" else backend, signal.SIGKILL)
        if victim == "backend":
            # The child waits for nobody any more: what it does next is not what is tested.
            await_recovery(raw_url)
    await_recovery(raw_url)

    with open_warehouse(raw_url) as conn, open_warehouse(control_url) as control:
        # As long as the killed backend has not noticed, its locks would hide the table.
        assert shape(conn, source) == before
        assert query(conn, f"select count(*) from {source.spec.raw_name}") == [(0,)]
        assert query(conn, "select count(*) from elt.load_log") == [(0,)]
        result = reload(conn, source, night)
        assert (result.read, result.inserted) == (ROWS, ROWS)
        load_night(control, source, 2)
        assert fingerprint(conn, source) == fingerprint(control, source)
        assert shape(conn, source) == shape(control, source) == before


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_first_load_leaves_no_trace(
    source: Source, source_url: str, shared_warehouse_url: str, control_url: str, point: str
) -> None:
    prove(source, source_url, shared_warehouse_url, control_url, point, "process")


@pytest.mark.parametrize("point", POINTS)
def test_a_first_load_whose_backend_is_killed_leaves_no_trace(
    servers: Servers, shared_warehouse_url: str, control_url: str, point: str
) -> None:
    """From MySQL: the marketing source's server is the warehouse's, where tests run."""
    if os.environ.get("AMATO_TEST_SERVERS") == "env":
        pytest.skip("the servers may run on another machine")
    with shared_source("mysql", servers) as url, open_source("mysql", url) as source:
        prove(source, url, shared_warehouse_url, control_url, point, "backend")
