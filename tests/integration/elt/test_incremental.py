"""Reading by watermark: nothing behind it is missed, and nothing is read for nothing."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from elt.loader import TooManyDeletionsError
from elt.nights import open_night
from elt.options import LoadOptions
from tests.integration.elt.support import (
    Marketing,
    Shop,
    Source,
    at,
    fingerprint,
    load_night,
    query,
    raw_as_of,
    reload,
)

Warehouse = psycopg.Connection[Any]
NO_LAG = LoadOptions(lag=timedelta(0))
STRICT = LoadOptions()


def proof(conn: Warehouse) -> tuple[Any, ...]:
    """The last line of the log: both sides' rows and checksums."""
    (row,) = query(
        conn,
        "select source_rows, source_checksum, raw_rows, raw_checksum from elt.load_log"
        " order by log_id desc limit 1",
    )
    return row


def test_only_the_window_is_read(source: Source, warehouse: Warehouse) -> None:
    for key in range(40):
        source.put(key, "old", at(1, key % 12))
    load_night(warehouse, source, 3)
    source.put(3, "changed", at(2))
    source.put(50, "added", at(2, 13))
    result = load_night(warehouse, source, 4)
    # Beside the two, rows of the hour before the watermark (11:00) and at it are read again.
    assert (result.read, result.inserted, result.updated, result.late) == (8, 1, 1, 0)
    assert result.window_start == at(1, 10).isoformat()
    source_rows, source_checksum, raw_rows, raw_checksum = proof(warehouse)
    assert (source_rows, source_checksum) == (raw_rows, raw_checksum) == (41, raw_checksum)


@pytest.mark.parametrize("behind", [1, 3, 24 * 400])
def test_rows_committed_late_behind_the_watermark_are_found(
    source: Source, warehouse: Warehouse, behind: int
) -> None:
    for key in range(20):
        source.put(key, "old", at(2))
    load_night(warehouse, source, 3)
    moment = at(2) - timedelta(hours=behind)
    source.put(5, "late update", moment)
    source.put(99, "late insert", moment)
    result = load_night(warehouse, source, 4, NO_LAG)
    assert (result.inserted, result.updated, result.late) == (1, 1, 2)
    rows = raw_as_of(warehouse, source, 4)
    assert rows["5"] == ("late update", moment) and rows["99"] == ("late insert", moment)


def test_a_key_replaced_by_another_at_the_same_cursor_is_found(
    source: Source, warehouse: Warehouse
) -> None:
    """Counts and cursors alone would not tell."""
    for key in range(1, 20):
        source.put(key, "row", at(1))
    source.put(30, "newest", at(2))
    load_night(warehouse, source, 3)
    source.delete(7)
    source.put(77, "row", at(1))
    result = load_night(warehouse, source, 4, NO_LAG)
    assert (result.inserted, result.deleted) == (1, 1)


def test_two_rows_that_swap_their_cursors_are_found(source: Source, warehouse: Warehouse) -> None:
    source.put(1, "one", at(1, 3))
    source.put(2, "two", at(1, 5))
    source.put(3, "newest", at(2))
    load_night(warehouse, source, 3)
    source.put(1, "one, later", at(1, 5))
    source.put(2, "two, earlier", at(1, 3))
    assert load_night(warehouse, source, 4, NO_LAG).updated == 2


def test_rows_at_the_watermark_itself_are_not_lost(source: Source, warehouse: Warehouse) -> None:
    """The cursor's boundary: rows that share the watermark's moment, on either side of its key."""
    for key in (3, 5):
        source.put(key, "first", at(2))
    load_night(warehouse, source, 3, NO_LAG)
    for key in (2, 4, 6):
        source.put(key, "second", at(2))
    result = load_night(warehouse, source, 4, NO_LAG)
    assert result.inserted == 3
    # The one above the watermark's key by window, the two below by reconciliation.
    assert result.late == 2
    assert len(raw_as_of(warehouse, source, 4)) == 5


def test_the_cursor_keeps_the_precision_of_its_source(
    source: Source, warehouse: Warehouse, system: str
) -> None:
    step = timedelta(milliseconds=1) if system == "mongo" else timedelta(microseconds=1)
    start = datetime(2026, 1, 1, 12, 0, 0, 999_000, tzinfo=UTC)
    moments = [start - step, start, start + step]
    for key, moment in enumerate(moments):
        source.put(key, "row", moment)
    load_night(warehouse, source, 2, NO_LAG)
    watermark = "select cursor_value from elt.watermarks"
    assert query(warehouse, watermark) == [(moments[-1],)]
    source.put(9, "one step on", moments[-1] + step)
    result = load_night(warehouse, source, 3, NO_LAG)
    assert (result.read, result.inserted, result.late) == (1, 1, 0)
    # The bound cuts as finely.
    bound = datetime(2026, 1, 4, tzinfo=UTC)
    source.put(10, "before", bound - step)
    source.put(11, "at", bound)
    result = load_night(warehouse, source, 4, NO_LAG)
    assert (result.inserted, result.held) == (1, 1)


def test_the_hour_that_comes_twice_is_two_hours(
    shop: Shop, marketing: Marketing, warehouse: Warehouse
) -> None:
    """When summer time ends, 02:30 in Berlin is 00:30 UTC and 01:30 UTC."""
    shop.run("alter table customer_segments modify updated_at timestamp(6) null")
    marketing.client.execute("set timezone = 'Europe/Berlin'")
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    put_local = "insert into customer_segments (row_id, updated_at) values (%s, %s)"
    for number, source in enumerate((shop, marketing)):
        nights = [date(2026, 10, 26 + 2 * number), date(2026, 10, 27 + 2 * number)]
        if isinstance(source, Shop):
            source.run("set session time_zone = '+02:00'")
            source.run(put_local, 1, "2026-10-25 02:30")
        else:
            source.put(1, None, first)
        reload(warehouse, source, open_night(warehouse, nights[0]), NO_LAG)
        if isinstance(source, Shop):
            source.run("set session time_zone = '+01:00'")
            source.run(put_local, 2, "2026-10-25 02:30")
        else:
            source.put(2, None, second)
        result = reload(warehouse, source, open_night(warehouse, nights[1]), NO_LAG)
        # By its window: an hour after the watermark, though the clocks showed the same.
        assert (result.read, result.inserted, result.late) == (1, 1, 0)
        found = query(warehouse, f"select updated_at from {source.spec.raw_name} order by row_id")
        assert found == [(first,), (second,)]


def test_a_row_without_a_usable_cursor_is_read_every_night(
    source: Source, warehouse: Warehouse
) -> None:
    source.put(1, "null", None)
    source.put(2, "before 1900", datetime(1899, 12, 31, tzinfo=UTC))
    source.put(3, "row", at(2))
    load_night(warehouse, source, 3, NO_LAG)
    source.put(1, "null changed", None)
    source.put(2, "before 1900 changed", datetime(1899, 12, 31, tzinfo=UTC))
    result = load_night(warehouse, source, 4, NO_LAG)
    assert (result.updated, result.late) == (2, 0)


@pytest.mark.parametrize("year", [1, 1899, 1900])
def test_a_table_whose_times_are_all_long_ago_is_loaded_every_night(
    source: Source, warehouse: Warehouse, year: int
) -> None:
    """In the year 1 there is nothing before the watermark that the lag could reach."""
    source.put(1, "row", datetime(year, 1, 1, tzinfo=UTC))
    load_night(warehouse, source, 2)
    has_watermark = query(warehouse, "select cursor_value is not null from elt.watermarks")
    assert has_watermark == [(year >= 1900,)]
    source.put(1, "changed in place", datetime(year, 1, 1, tzinfo=UTC))
    assert load_night(warehouse, source, 3).updated == 1
    source.put(2, "new", at(3))
    assert load_night(warehouse, source, 4).inserted == 1
    assert load_night(warehouse, source, 5).window_start is not None


def test_a_watermark_that_says_nothing_is_not_used(source: Source, warehouse: Warehouse) -> None:
    """Former versions of the loader kept such ones."""
    source.put(1, "row", at(1))
    load_night(warehouse, source, 2)
    with warehouse.transaction():
        warehouse.execute("update elt.watermarks set cursor_value = '0001-01-01'")
    assert load_night(warehouse, source, 3).window_start is None
    assert load_night(warehouse, source, 4).window_start is not None


def test_a_full_refresh_sees_what_did_not_move_the_cursor(
    source: Source, warehouse: Warehouse
) -> None:
    source.put(1, "as it was", at(1))
    source.put(2, "newest", at(2, 20))
    load_night(warehouse, source, 3)
    source.put(1, "changed in place", at(1))
    assert load_night(warehouse, source, 4).updated == 0
    assert load_night(warehouse, source, 4, LoadOptions(full_refresh=True)).updated == 1


def test_a_lost_watermark_is_no_loss(source: Source, warehouse: Warehouse) -> None:
    for key in range(10):
        source.put(key, "row", at(1))
    load_night(warehouse, source, 2)
    before = fingerprint(warehouse, source)
    with warehouse.transaction():
        warehouse.execute("delete from elt.watermarks")
    result = load_night(warehouse, source, 2)
    assert (result.window_start, result.unchanged) == (None, 10)
    assert fingerprint(warehouse, source) == before


@pytest.mark.parametrize("keys", [(0,), (-3, 0, 3), (1, 1 << 40), (-(1 << 62), 1 << 62)])
def test_keys_of_any_size_are_reconciled(
    source: Source, warehouse: Warehouse, keys: tuple[int, ...]
) -> None:
    source.put(1_000, "newest", at(2))
    for key in keys:
        source.put(key, "row", at(1))
    load_night(warehouse, source, 3)
    for key in keys:
        source.put(key, "late", at(1, 3))
    result = load_night(warehouse, source, 4, NO_LAG)
    assert (result.updated, result.late) == (len(keys), len(keys))
    for key in keys:
        source.delete(key)
    assert load_night(warehouse, source, 5).deleted == len(keys)


# --- deletions --------------------------------------------------------------------------


def test_an_empty_source_deletes_nothing(source: Source, warehouse: Warehouse) -> None:
    for key in range(3):
        source.put(key, "row", at(1))
    load_night(warehouse, source, 2)
    before = fingerprint(warehouse, source)
    source.clear()
    with pytest.raises(TooManyDeletionsError, match=r"is empty: 3 of 3 live rows.*allow_deletes"):
        load_night(warehouse, source, 3, STRICT)
    assert fingerprint(warehouse, source) == before
    with pytest.raises(TooManyDeletionsError):
        load_night(warehouse, source, 3, LoadOptions(full_refresh=True))
    assert load_night(warehouse, source, 3).deleted == 3


@pytest.mark.parametrize(("gone", "stops"), [(20, False), (21, True)])
def test_a_large_part_of_a_table_is_not_deleted(
    source: Source, warehouse: Warehouse, gone: int, stops: bool
) -> None:
    """More than 20 percent stop the load."""
    for key in range(100):
        source.put(key, "row", at(1))
    load_night(warehouse, source, 2)
    for key in range(gone):
        source.delete(key)
    if not stops:
        assert load_night(warehouse, source, 3, STRICT).deleted == gone
        return
    with pytest.raises(TooManyDeletionsError, match=r"21 of 100 live rows.*the limit is 20%"):
        load_night(warehouse, source, 3, STRICT)
    assert len(raw_as_of(warehouse, source, 3)) == 100
    assert load_night(warehouse, source, 3).deleted == gone


def test_a_few_rows_may_go_unless_they_are_all(marketing: Marketing, warehouse: Warehouse) -> None:
    for key in range(8):
        marketing.put(key, "row", at(1))
    load_night(warehouse, marketing, 2)
    marketing.client.execute("delete from campaigns where row_id < 6")
    with pytest.raises(TooManyDeletionsError, match="6 of 8 live rows"):
        load_night(warehouse, marketing, 3, STRICT)
    marketing.put(5, "row", at(1))
    assert load_night(warehouse, marketing, 3, STRICT).deleted == 5


def test_the_same_night_again_after_every_kind_of_change(
    source: Source, warehouse: Warehouse
) -> None:
    for key in range(30):
        source.put(key, "old", at(1, key % 24))
    load_night(warehouse, source, 2)
    source.put(1, "new", at(2))
    source.put(2, "late", at(1))
    source.delete(3)
    source.put(40, "added late", at(1, 1))
    night = open_night(warehouse, date(2026, 1, 3))
    reload(warehouse, source, night, NO_LAG)
    checksum = fingerprint(warehouse, source)
    for options in (NO_LAG, STRICT, LoadOptions(full_refresh=True)):
        result = reload(warehouse, source, night, options)
        assert (result.inserted, result.updated, result.deleted) == (0, 0, 0)
        assert fingerprint(warehouse, source) == checksum
