"""What nights must make of a source: a plain statement, without a look at how it is done."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.integration.elt.changing_tables import Row

# What raw shows of a row: label, cursor, and the values that are not null.
Content = tuple[str | None, datetime | None, dict[str, Any]]
Live = dict[str, Content]
LAST_DAY = 28


@dataclass
class NightModel:
    """The source's rows, and what raw must show of them; nights are days of January 2026.

    ``name`` is a key as raw has it.
    """

    name: Callable[[int], str]
    max_deleted: float
    day: int = 2
    # The source: the rows of each key, and those that have none.
    rows: dict[int, list[Row]] = field(default_factory=dict)
    nameless: set[int] = field(default_factory=set)
    # Raw: what is live, what was live before this night, and in each night that was loaded.
    live: Live = field(default_factory=dict)
    before: Live = field(default_factory=dict)
    remembered: dict[int, Live] = field(default_factory=dict)
    # The keys in elt.rejected_rows that are open, and how many rows without a key are.
    rejected: set[str] = field(default_factory=set)
    rejected_nameless: int = 0

    def beyond(self, row: Row) -> bool:
        """Whether a row lies at or after the night's bound."""
        return row.moment is not None and row.moment >= datetime(2026, 1, self.day, tzinfo=UTC)

    def waits(self, rows: list[Row]) -> bool:
        """Whether a key is a later night's affair."""
        return all(map(self.beyond, rows))

    @staticmethod
    def broken(rows: list[Row]) -> bool:
        """Whether raw can hold no row of a key: one is unsound, or which is right is unknown."""
        return len(rows) > 1 or not all(row.sound for row in rows)

    def held(self) -> int:
        """How many rows lie at or after the bound."""
        return sum(self.beyond(row) for rows in self.rows.values() for row in rows)

    def usable(self) -> Live:
        """The rows that this night must find."""
        found: Live = {}
        for key, rows in self.rows.items():
            if not self.waits(rows) and not self.broken(rows):
                (row,) = rows
                values = {name: value for name, value in row.values.items() if value is not None}
                found[self.name(key)] = (row.label, row.moment, values)
        return found

    def load(self) -> None:
        """A load of this night that succeeds."""
        found = self.usable()
        rejected: set[str] = set()
        for key, rows in self.rows.items():
            name = self.name(key)
            if name in found:
                continue
            # As it was, also where an earlier load of this night found it deleted.
            if name in self.live:
                found[name] = self.live[name]
            elif name in self.before:
                found[name] = self.before[name]
            # What waits is not looked at: it stays open until its night comes.
            if not self.waits(rows) or name in self.rejected:
                rejected.add(name)
        self.live = found
        self.remembered[self.day] = dict(found)
        self.rejected = rejected
        self.rejected_nameless = len(self.nameless)

    def end_night(self) -> None:
        """The next night begins, whether this one was loaded or not."""
        self.before = dict(self.live)
        self.day += 1

    def must_refuse(self) -> bool:
        """Whether a load without leave to delete must fail: too much, or everything, is gone."""
        gone = self._gone()
        most = len(self.live.keys() | self.usable().keys())
        return bool(gone) and (not self.rows or self._too_many(gone, most))

    def may_refuse(self) -> bool:
        """Whether it may: rows that are new this night, or rejected, need not count as live.

        A source whose rows are all rejected may count as empty.
        """
        gone, usable = self._gone(), self.usable().keys()
        least = gone + len(usable & self.live.keys())
        return bool(gone) and (not usable or self._too_many(gone, least))

    def _gone(self) -> int:
        return len(self.live.keys() - set(map(self.name, self.rows)))

    def _too_many(self, gone: int, live: int) -> bool:
        # A few may always go.
        return gone > 5 and gone > live * self.max_deleted
