"""The two ways of change that only marketing has: restated days, and a table compared whole."""

from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from elt.extract_load import extract_and_load
from elt.loader import LoadResult, TooManyDeletionsError
from elt.nights import open_night
from elt.options import LoadOptions
from elt.specs import BY_NAME
from tests.integration.elt.support import Marketing, query

Warehouse = psycopg.Connection[Any]
DAILY = BY_NAME["campaign_performance"]
WHOLE = BY_NAME["ab_test_results"]
FIRST = date(2026, 1, 1)


def load(
    conn: Warehouse,
    marketing: Marketing,
    name: str,
    night: date,
    options: LoadOptions | None = None,
) -> LoadResult:
    spec = BY_NAME[name]
    return extract_and_load(marketing.client, conn, spec, open_night(conn, night), options)


def put_day(marketing: Marketing, key: int, day: date, clicks: int) -> None:
    marketing.client.execute(
        "insert into campaign_performance (row_id, performance_id, date, clicks)"
        " values (%s, %s, %s, %s) on conflict (row_id) do update set clicks = excluded.clicks",
        (key, f"P{key}", day, clicks),
    )


def clicks(conn: Warehouse, key: int) -> int | None:
    rows = query(
        conn,
        "select clicks from raw_postgres.campaign_performance"
        " where row_id = %s and _valid_to is null",
        key,
    )
    return rows[0][0] if rows else None


def test_the_last_days_are_read_again(marketing: Marketing, warehouse: Warehouse) -> None:
    for key in range(60):
        put_day(marketing, key, FIRST + timedelta(key), 1)
    night = FIRST + timedelta(60)
    assert load(warehouse, marketing, DAILY.name, night).inserted == 60
    # The oldest day that the next night reads again, and the newest that it does not.
    oldest = 60 - DAILY.trailing_days
    for key in (oldest, oldest - 1):
        put_day(marketing, key, FIRST + timedelta(key), 2)
    result = load(warehouse, marketing, DAILY.name, night + timedelta(1))
    assert (result.updated, result.inserted) == (1, 0)
    assert (clicks(warehouse, oldest), clicks(warehouse, oldest - 1)) == (2, 1)


def test_days_restated_while_no_night_was_loaded_are_found(
    marketing: Marketing, warehouse: Warehouse
) -> None:
    """The window goes back from the last night that was loaded, not from this one."""
    for key in range(60):
        put_day(marketing, key, FIRST + timedelta(key), 1)
    night = FIRST + timedelta(60)
    load(warehouse, marketing, DAILY.name, night)
    # The next day a day of the last weeks is corrected; then nothing runs for two months.
    put_day(marketing, 50, FIRST + timedelta(50), 2)
    later = night + timedelta(60)
    put_day(marketing, 200, later - timedelta(1), 7)
    result = load(warehouse, marketing, DAILY.name, later)
    assert (result.inserted, result.updated) == (1, 1)
    assert clicks(warehouse, 50) == 2


def test_a_restated_day_that_is_deleted_closes(marketing: Marketing, warehouse: Warehouse) -> None:
    for key in range(3):
        put_day(marketing, key, FIRST, 1)
    load(warehouse, marketing, DAILY.name, FIRST + timedelta(1))
    marketing.client.execute("delete from campaign_performance where row_id = 1")
    assert load(warehouse, marketing, DAILY.name, FIRST + timedelta(90)).deleted == 1


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_table_without_a_cursor_is_compared_whole(
    marketing: Marketing, warehouse: Warehouse, count: int
) -> None:
    run = marketing.client.execute
    for key in range(1, count + 1):
        run(
            "insert into ab_test_results (row_id, result_id, variant, revenue)"
            " values (%s, %s, 'A', 1.5)",
            (key, f"R{key}"),
        )
    result = load(warehouse, marketing, WHOLE.name, date(2026, 1, 2))
    assert (result.read, result.inserted, result.window_start) == (count, count, None)
    # No column says that anything happened.
    run("update ab_test_results set revenue = 2.5 where row_id = 2")
    run("delete from ab_test_results where row_id = 3")
    run("insert into ab_test_results (row_id, result_id) values (100, 'R100')")
    result = load(warehouse, marketing, WHOLE.name, date(2026, 1, 3), LoadOptions(lag=timedelta(0)))
    changed, gone = (1 if count >= 2 else 0), (1 if count >= 3 else 0)
    assert (result.inserted, result.updated, result.deleted) == (1, changed, gone)
    assert result.unchanged == count - changed - gone
    assert load(warehouse, marketing, WHOLE.name, date(2026, 1, 3)).unchanged == count + 1 - gone
    run("delete from ab_test_results")
    with pytest.raises(TooManyDeletionsError, match="the source is empty"):
        load(warehouse, marketing, WHOLE.name, date(2026, 1, 4))
