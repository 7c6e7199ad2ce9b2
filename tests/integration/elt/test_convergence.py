"""Whatever happens in a source and whenever nights are loaded, raw converges to it.

Random interleavings of inserts, updates, rows committed late behind the watermark, rows from
the future, deletions, rows that raw cannot hold and that are mended, keys that repeat, columns
that come, go and widen, nights, repeated nights, loads that refuse to delete, and loads that
lose the warehouse in the middle. ``AMATO_PROPERTY_EXAMPLES`` sets how many.
"""

import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from bson import json_util
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from elt import batch, loader
from elt.extract_load import replay_rejected
from elt.loader import LoadResult, TooManyDeletionsError
from elt.nights import Night, open_night
from elt.options import LoadOptions
from elt.readers import mongo
from tests.integration.elt.changing_tables import ROW_BYTES, Row, SqlTable, Table, table_of
from tests.integration.elt.night_model import LAST_DAY, Live, NightModel
from tests.integration.elt.support import (
    Shop,
    Source,
    empty_warehouse,
    fingerprint,
    lose_before,
    open_warehouse,
    query,
    reload,
)

EXAMPLES = int(os.environ.get("AMATO_PROPERTY_EXAMPLES", "5"))
START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = st.integers(0, 12)
LABELS = st.sampled_from(["a", "b", "", None])
SOUND = st.sampled_from([True, True, True, False])
# Behind the window, in it, and from the bound on.
HOURS = st.sampled_from([-30, 0, 23, 24, 30])
GONE = st.sampled_from([0, 1, 6, 13])
FULL = st.sampled_from([False, False, True])
# A load has fifty statements, or nearly a hundred where there is something to reconcile.
STATEMENTS = st.integers(1, 100)


def machine_of(
    source: Source, warehouse: psycopg.Connection[Any], url: str
) -> type[RuleBasedStateMachine]:
    """The state machine on one source; the model is what a night must find."""
    table = table_of(source)
    sizes_of = st.dictionaries(st.sampled_from(table.fields), st.integers(0, 3), max_size=2)

    class Nights(RuleBasedStateMachine):
        @initialize(plain=st.booleans(), columns_stay=st.booleans(), count=st.integers(0, 12))
        def begin(self, plain: bool, columns_stay: bool, count: int) -> None:
            empty_warehouse(url)
            self.widths = table.reset(plain=plain)
            self.plain = plain
            self.columns_change = isinstance(table, SqlTable) and not columns_stay
            self.keys_may_repeat = isinstance(table, SqlTable) and not plain
            self.dropped: set[str] = set()
            self.writes = 0
            self.model = NightModel(table.name, source.spec.max_deleted)
            for key in range(count):
                self.put(key, [self.row("first", self.moment(0), {})])

        # --- the source's rows ----------------------------------------------------------

        def moment(self, hour: int) -> datetime:
            """A cursor that no other write has: every change moves it."""
            self.writes += 1
            return START + timedelta(hours=hour, milliseconds=self.writes)

        def today(self, hour: int) -> datetime:
            """A moment of the day that ends with this night; hours beyond 23 are after it."""
            return self.moment((self.model.day - 2) * 24 + hour)

        def row(self, label: str | None, moment: datetime | None, sizes: dict[str, int]) -> Row:
            return Row(label, moment, table.values(sizes, self.widths))

        def put(self, key: int, rows: list[Row]) -> None:
            table.put(key, rows)
            self.model.rows[key] = rows
            if not rows:
                del self.model.rows[key]

        @rule(key=KEYS, label=LABELS, hour=st.integers(0, 23), sizes=sizes_of, sound=SOUND)
        def write_now(
            self, key: int, label: str | None, hour: int, sizes: dict[str, int], sound: bool
        ) -> None:
            self.put(key, [replace(self.row(label, self.today(hour), sizes), sound=sound)])

        @rule(key=KEYS, label=LABELS, back=st.floats(0, 1), sizes=sizes_of, sound=SOUND)
        def commit_late(
            self, key: int, label: str | None, back: float, sizes: dict[str, int], sound: bool
        ) -> None:
            moment = self.moment(int((self.model.day - 2) * 24 * back))
            self.put(key, [replace(self.row(label, moment, sizes), sound=sound)])

        @rule(key=KEYS, label=LABELS, hour=st.integers(24, 54), sizes=sizes_of, sound=SOUND)
        def write_beyond_the_bound(
            self, key: int, label: str | None, hour: int, sizes: dict[str, int], sound: bool
        ) -> None:
            self.put(key, [replace(self.row(label, self.today(hour), sizes), sound=sound)])

        @rule(key=KEYS, label=LABELS, sizes=sizes_of, sound=SOUND)
        def write_without_cursor(
            self, key: int, label: str | None, sizes: dict[str, int], sound: bool
        ) -> None:
            self.put(key, [replace(self.row(label, None, sizes), sound=sound)])

        @rule(first=KEYS, count=GONE)
        def delete(self, first: int, count: int) -> None:
            for key in range(first, first + count):
                self.put(key, [])

        @rule(count=st.integers(1, 6), first=KEYS)
        def replace_many(self, count: int, first: int) -> None:
            for key in range(first, first + count):
                self.put(key, [])
                self.put(key + 100, [self.row("moved", self.moment(0), {})])

        @precondition(lambda self: self.keys_may_repeat and self.model.rows)
        @rule(data=st.data(), label=LABELS, hour=HOURS, sound=SOUND)
        def repeat_a_key(
            self, data: st.DataObject, label: str | None, hour: int, sound: bool
        ) -> None:
            key = data.draw(st.sampled_from(sorted(self.model.rows)))
            rows = self.model.rows[key]
            another = replace(self.row(label, self.today(hour), {}), sound=sound)
            self.put(key, [*rows, data.draw(st.sampled_from([another, rows[0]]))])

        @precondition(lambda self: any(map(self.model.broken, self.model.rows.values())))
        @rule(data=st.data())
        def mend(self, data: st.DataObject) -> None:
            """One row is left, and it is sound; this moves no cursor."""
            broken = [key for key, rows in self.model.rows.items() if self.model.broken(rows)]
            key = data.draw(st.sampled_from(sorted(broken)))
            row = data.draw(st.sampled_from(self.model.rows[key]))
            self.put(key, [replace(row, sound=True)])

        @precondition(lambda self: not self.plain)
        @rule(numbers=st.sets(st.integers(0, 2)))
        def write_without_key(self, numbers: set[int]) -> None:
            table.put_nameless(sorted(numbers))
            self.model.nameless = numbers

        # --- the source's columns; documents have each the fields that they have ---------

        @precondition(lambda self: self.columns_change)
        @rule(data=st.data(), name=st.sampled_from(table.fields), with_default=st.booleans())
        def add_or_drop_a_column(self, data: st.DataObject, name: str, with_default: bool) -> None:
            assert isinstance(table, SqlTable)
            if name in self.widths:
                table.drop_column(name)
                del self.widths[name]
                self.dropped.add(name)
                for rows in self.model.rows.values():
                    for row in rows:
                        row.values.pop(name, None)
            elif not (isinstance(source, Shop) and name in self.dropped):
                # MySQL tells a column made anew from the former one by the second alone.
                width = data.draw(st.integers(0, len(table.columns[name]) - 1))
                default = table.columns[name][width][1] if with_default else None
                table.add_column(name, width, default)
                self.widths[name] = width
                for rows in self.model.rows.values():
                    for row in rows:
                        row.values[name] = default

        @precondition(lambda self: self.columns_change and self.widths)
        @rule(data=st.data())
        def widen_a_column(self, data: st.DataObject) -> None:
            assert isinstance(table, SqlTable)
            name = data.draw(st.sampled_from(sorted(self.widths)))
            widest = len(table.columns[name]) - 1
            self.widths[name] = data.draw(st.integers(self.widths[name], widest))
            table.widen_column(name, self.widths[name])

        # --- the nights -----------------------------------------------------------------

        def night(self) -> Night:
            return open_night(warehouse, date(2026, 1, self.model.day))

        def written(self) -> list[Any]:
            """All that loads write, but for the nights."""
            tables = ("load_log", "watermarks", "rejected_rows", "contract_differences")
            logs = [f"select r::text from elt.{name} as r order by 1" for name in tables]
            return [fingerprint(warehouse, source), *(query(warehouse, log) for log in logs)]

        def check(self, result: LoadResult) -> None:
            """A load succeeded: raw is what it must be, and past nights are as they were."""
            model = self.model
            model.load()
            self.dropped.clear()
            kept = result.inserted + result.updated + result.unchanged
            assert result.read == kept + result.rejected
            assert result.held == model.held()
            for past, rows in model.remembered.items():
                assert raw_as_of(warehouse, source, table, past) == rows, f"night {past}"
            rejected = query(
                warehouse, "select source_key from elt.rejected_rows where resolved_at is null"
            )
            keys = {key for (key,) in rejected if ":sha256:" not in key}
            assert keys == model.rejected
            assert len(rejected) - len(keys) == model.rejected_nameless

        @rule(full=FULL, lag=st.sampled_from([None, 0, 5]), again=st.booleans())
        def load(self, full: bool, lag: int | None, again: bool) -> None:
            hours = None if lag is None else timedelta(hours=lag)
            options = LoadOptions(full_refresh=full, allow_deletes=True, lag=hours)
            self.check(reload(warehouse, source, self.night(), options))
            if not again:
                self.end_night()

        def end_night(self) -> None:
            if self.model.day < LAST_DAY:
                self.model.end_night()

        @rule()
        def miss_a_night(self) -> None:
            self.end_night()

        @rule(first=KEYS, gone=GONE, full=FULL, replay=st.booleans(), allow=st.booleans())
        def load_without_leave_to_delete(
            self, first: int, gone: int, full: bool, replay: bool, allow: bool
        ) -> None:
            self.delete(first, gone)
            model = self.model
            before = self.written()
            options = LoadOptions(full_refresh=full)
            try:
                if replay:
                    result = replay_rejected(source.client, warehouse, source.spec, self.night())
                    assert bool(result) == bool(model.rejected or model.rejected_nameless)
                else:
                    result = reload(warehouse, source, self.night(), options)
            except TooManyDeletionsError:
                assert model.may_refuse()
                assert self.written() == before
                if allow:
                    self.load(full, None, True)
                return
            if result is not None:
                assert not model.must_refuse()
                self.check(result)

        @rule(statement=STATEMENTS, full=FULL, again=st.booleans())
        def lose_the_warehouse(self, statement: int, full: bool, again: bool) -> None:
            before = self.written()
            options = LoadOptions(full_refresh=full, allow_deletes=True)
            with open_warehouse(url) as conn:
                lose_before(conn, url, statement)
                try:
                    result = reload(conn, source, self.night(), options)
                except psycopg.OperationalError:
                    assert conn.broken
                    assert self.written() == before
                    if again:
                        self.load(full, None, True)
                else:
                    self.check(result)

    return Nights


def raw_as_of(conn: psycopg.Connection[Any], source: Source, table: Table, day: int) -> Live:
    """The rows that were live on the night of a day, with the fields that change.

    A value is in its column or, where that cannot hold it, in ``_extra``.
    """
    spec, night = source.spec, date(2026, 1, day)
    fields = ", ".join(f"(to_jsonb(r) -> '{name}')::text" for name in table.fields)
    rows = query(
        conn,
        f"select {spec.key.name}::text, {source.label}, {spec.cursor}, _extra::text, {fields}"
        f" from {spec.raw_name} as r"
        " where _valid_from <= %s and (_valid_to is null or _valid_to > %s)",
        night,
        night,
    )
    found: Live = {}
    for key, label, moment, extra, *texts in rows:
        values = {
            name: json.loads(text, parse_float=Decimal)
            for name, text in zip(table.fields, texts, strict=True)
            if text not in (None, "null")
        }
        assert key not in found, "two versions of a key are live"
        found[key] = (
            label,
            moment and moment.astimezone(UTC),
            values | (json_util.loads(extra) if extra else {}),
        )
    return found


def test_nights_converge_and_past_nights_stay(
    source: Source,
    warehouse: psycopg.Connection[Any],
    shared_warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "ROW_BYTES", ROW_BYTES)
    # So small that a few rows lie on both sides of every boundary.
    monkeypatch.setattr(batch, "BATCH_ROWS", 3)
    monkeypatch.setattr(mongo, "BATCH_SIZE", 3)
    monkeypatch.setattr(mongo, "SAMPLE", 2)
    monkeypatch.setattr(loader, "KEYS_AT_ONCE", 3)
    run_state_machine_as_test(
        machine_of(source, warehouse, shared_warehouse_url),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
