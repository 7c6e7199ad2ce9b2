"""Whatever happens in a source and whenever nights are loaded, raw converges to it.

Random interleavings of inserts, updates, rows committed late behind the watermark, rows from
the future, deletions, nights and repeated nights. ``AMATO_PROPERTY_EXAMPLES`` sets how many.
"""

import os
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from elt.nights import open_night
from elt.options import LoadOptions
from tests.integration.elt.support import Rows, Source, empty_warehouse, raw_as_of, reload

EXAMPLES = int(os.environ.get("AMATO_PROPERTY_EXAMPLES", "5"))
START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = st.integers(0, 12)
LABELS = st.sampled_from(["a", "b", "", None])


def machine_of(
    source: Source, warehouse: psycopg.Connection[Any], url: str
) -> type[RuleBasedStateMachine]:
    """The state machine on one source; the model is what a night must find."""

    class Nights(RuleBasedStateMachine):
        @initialize()
        def empty(self) -> None:
            source.clear()
            empty_warehouse(url)
            self.day = 2
            self.writes = 0
            self.rows: Rows = {}
            self.live: Rows = {}
            self.before: Rows = {}
            self.remembered: dict[int, Rows] = {}

        def moment(self, hour: int) -> datetime:
            """A cursor that no other write has: every change moves it."""
            self.writes += 1
            return START + timedelta(hours=hour, milliseconds=self.writes)

        def write(self, key: int, label: str | None, moment: datetime | None) -> None:
            source.put(key, label, moment)
            self.rows[str(key)] = (label, moment)

        @rule(key=KEYS, label=LABELS, hour=st.integers(0, 23))
        def write_now(self, key: int, label: str | None, hour: int) -> None:
            self.write(key, label, self.moment((self.day - 2) * 24 + hour))

        @rule(key=KEYS, label=LABELS, back=st.floats(0, 1))
        def commit_late(self, key: int, label: str | None, back: float) -> None:
            self.write(key, label, self.moment(int((self.day - 2) * 24 * back)))

        @rule(key=KEYS, label=LABELS, hour=st.integers(0, 30))
        def write_beyond_the_bound(self, key: int, label: str | None, hour: int) -> None:
            self.write(key, label, self.moment((self.day - 1) * 24 + hour))

        @rule(key=KEYS, label=LABELS)
        def write_without_cursor(self, key: int, label: str | None) -> None:
            self.write(key, label, None)

        @rule(key=KEYS)
        def delete(self, key: int) -> None:
            source.delete(key)
            self.rows.pop(str(key), None)

        @rule(count=st.integers(1, 6), first=KEYS)
        def replace_many(self, count: int, first: int) -> None:
            for key in range(first, first + count):
                self.delete(key)
                self.write(key + 100, "moved", self.moment(0))

        @rule(
            again=st.booleans(),
            lag=st.sampled_from([None, 0, 5]),
            full=st.sampled_from([False, False, True]),
        )
        def load(self, again: bool, lag: int | None, full: bool) -> None:
            options = LoadOptions(
                full_refresh=full,
                allow_deletes=True,
                lag=None if lag is None else timedelta(hours=lag),
            )
            night = date(2026, 1, self.day)
            bound = datetime(2026, 1, self.day, tzinfo=UTC)
            result = reload(warehouse, source, open_night(warehouse, night), options)
            assert result.read == (
                result.inserted + result.updated + result.unchanged + result.rejected
            )
            found: Rows = {}
            for key, row in self.rows.items():
                if row[1] is None or row[1] < bound:
                    found[key] = row
                elif key in self.live:
                    found[key] = self.live[key]
                elif key in self.before:
                    found[key] = self.before[key]
            self.live = found
            self.remembered[self.day] = dict(found)
            for past, rows in self.remembered.items():
                assert raw_as_of(warehouse, source, past) == rows, f"night {past}"
            if not again and self.day < 28:
                self.before = dict(found)
                self.day += 1

    return Nights


def test_nights_converge_and_past_nights_stay(
    source: Source, warehouse: psycopg.Connection[Any], shared_warehouse_url: str
) -> None:
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
