"""Every table of a night is accounted for, and the marts are never turned back."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg
import pytest

from elt.accounting import (
    UnaccountedRowsError,
    check_night,
    is_past,
    newest_night,
    require_latest,
)
from elt.nights import OlderNightError, UnknownNightError, open_night
from elt.specs import SPECS

NIGHT = date(2024, 5, 2)


@pytest.fixture
def conn(warehouse_url):
    with psycopg.connect(warehouse_url, options="-c role=amato_loader") as connection:
        yield connection


def log(conn, night, spec, read=3, inserted=1, updated=1, unchanged=1, deleted=0, rejected=0):
    conn.execute(
        "insert into elt.load_log (batch_id, as_of, source_system, source_table, read, inserted,"
        " updated, deleted, unchanged, rejected, bytes, seconds, raw_live)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 0)",
        (
            night.batch_id, night.as_of, spec.system, spec.name,
            read, inserted, updated, deleted, unchanged, rejected,
        ),
    )  # fmt: skip


def test_totals_of_a_whole_night(conn):
    night = open_night(conn, NIGHT)
    for spec in SPECS:
        log(conn, night, spec, read=4, rejected=1, deleted=2)
    n = len(SPECS)
    assert check_night(conn, night) == {
        "tables": n,
        "read": 4 * n,
        "inserted": n,
        "updated": n,
        "deleted": 2 * n,
        "rejected": n,
    }


def test_a_table_that_was_not_loaded_is_named(conn):
    night = open_night(conn, NIGHT)
    for spec in SPECS[1:]:
        log(conn, night, spec)
    with pytest.raises(UnaccountedRowsError, match=r"raw_mysql\.customers was not loaded"):
        check_night(conn, night)


def test_a_load_of_an_earlier_batch_does_not_count(conn):
    first = open_night(conn, NIGHT)
    for spec in SPECS:
        log(conn, first, spec)
    second = open_night(conn, NIGHT)
    with pytest.raises(UnaccountedRowsError, match="was not loaded"):
        check_night(conn, second)


def test_a_lost_row_is_counted(conn):
    night = open_night(conn, NIGHT)
    for spec in SPECS:
        log(conn, night, spec, read=4 if spec.name == "sessions" else 3)
    with pytest.raises(UnaccountedRowsError, match=r"raw_mongo.sessions: 4 rows read, but 3"):
        check_night(conn, night)


def test_the_latest_load_of_a_table_counts(conn):
    night = open_night(conn, NIGHT)
    for spec in SPECS:
        log(conn, night, spec, read=9)
        log(conn, night, spec)
    assert check_night(conn, night)["read"] == 3 * len(SPECS)


def test_only_the_latest_night_may_be_built(conn):
    with pytest.raises(UnknownNightError, match="no night was loaded yet"):
        require_latest(conn, NIGHT)
    open_night(conn, NIGHT)
    require_latest(conn, NIGHT)
    assert newest_night(conn) == NIGHT
    with pytest.raises(UnknownNightError, match="run extract_load for this one"):
        require_latest(conn, NIGHT + timedelta(days=1))
    with pytest.raises(OlderNightError, match="never turned back"):
        require_latest(conn, NIGHT - timedelta(days=1))


def test_a_night_is_past_once_a_newer_one_was_opened(conn):
    open_night(conn, NIGHT)
    assert not is_past(conn, NIGHT)
    later = NIGHT + timedelta(days=7)
    assert not is_past(conn, later)  # require_latest says that it was not loaded
    open_night(conn, later)
    assert is_past(conn, NIGHT)
    assert not is_past(conn, later)
    for never in (NIGHT - timedelta(days=1), NIGHT + timedelta(days=1)):
        with pytest.raises(UnknownNightError, match=f"night {never} was never loaded"):
            is_past(conn, never)
