"""What the property tests do to a source, beside writing rows: break them, and its columns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import bson
from bson import Int64, ObjectId

from tests.integration.elt.support import Clicks, Marketing, Shop, Source

# A row of more bytes is broken: the tests set this as the limit.
ROW_BYTES = 700
# Cursors of rows without a key: none waits for its night, also where that is far off.
NAMELESS = (None, datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Row:
    """One row of the source; ``values`` are those of columns, or fields, that change.

    One that is not ``sound`` is none that raw can hold: too large, or not decodable.
    """

    label: str | None
    moment: datetime | None
    values: dict[str, Any]
    sound: bool = True


class Table(ABC):
    """The table of a source, and what it can have beside its label and its cursor."""

    fields: tuple[str, ...]
    # Width: declared type, and a value that only this type and wider ones hold.
    columns: Mapping[str, Sequence[tuple[str, Any]]] = {}

    @abstractmethod
    def reset(self, *, plain: bool) -> dict[str, int]:
        """Make it anew, empty; returns the width of each changing column that it declares.

        ``plain``: with a primary key; where keys never repeat, all of one type.
        """

    @abstractmethod
    def name(self, key: int) -> str:
        """The key as raw has it."""

    @abstractmethod
    def values(self, sizes: Mapping[str, int], widths: Mapping[str, int]) -> dict[str, Any]:
        """Values of some fields; larger sizes need wider columns."""

    @abstractmethod
    def put(self, key: int, rows: Sequence[Row]) -> None:
        """Have these rows, and no others, under a key."""

    @abstractmethod
    def put_nameless(self, numbers: Sequence[int]) -> None:
        """Have rows without a key, one for each of these numbers in NAMELESS, and no others."""


class SqlTable(Table):
    """The table of an SQL source; its columns change, and keys repeat where it is not plain."""

    def __init__(self, source: Shop | Marketing, amount: str, filler: str, retype: str) -> None:
        self.source = source
        self.table = source.spec.name
        self.filler = filler
        self.retype = retype
        self.columns = {
            "size": [
                ("smallint", 32_767),
                ("int", 2**31 - 1),
                ("bigint", 2**63 - 1),
                ("decimal(24, 2)", Decimal("1234567890123456789012.25")),
            ],
            amount: [
                ("decimal(18, 2)", Decimal("1234567890123456.25")),
                ("decimal(24, 4)", Decimal("12345678901234567890.1234")),
            ],
            "tier": [("varchar(9)", "basic"), ("varchar(200)", "b" * 20)],
        }
        self.fields = tuple(self.columns)
        self.amount = amount

    def run(self, query: str, *params: Any) -> None:
        if isinstance(self.source, Shop):
            self.source.run(query, *params)
        else:
            self.source.client.execute(query.encode(), params)

    def reset(self, *, plain: bool) -> dict[str, int]:
        table = self.table
        mysql = isinstance(self.source, Shop)
        like = "like {}" if mysql else "(like {} including all)"
        self.run(f"create table if not exists template {like.format(table)}")
        self.run(f"drop table {table}")
        self.run(f"create table {table} {like.format('template')}")
        if not plain and mysql:
            self.run(f"alter table {table} modify row_id bigint, drop primary key")
        elif not plain:
            self.run(f"alter table {table} drop constraint {table}_pkey")
            self.run(f"alter table {table} alter row_id drop identity")
            self.run(f"alter table {table} alter row_id drop not null")
        return {self.amount: 0}

    def name(self, key: int) -> str:
        return str(key)

    def values(self, sizes: Mapping[str, int], widths: Mapping[str, int]) -> dict[str, Any]:
        given = {name: size for name, size in sizes.items() if name in widths}
        # Nulls are written, so that no default takes their place.
        return dict.fromkeys(widths) | {
            name: self.columns[name][min(size, widths[name])][1] for name, size in given.items()
        }

    def put(self, key: int, rows: Sequence[Row]) -> None:
        self.run(f"delete from {self.table} where row_id = %s", key)
        for row in rows:
            self._insert(key, row)

    def put_nameless(self, numbers: Sequence[int]) -> None:
        self.run(f"delete from {self.table} where row_id is null")
        for number in numbers:
            self._insert(None, Row(f"nameless {number}", NAMELESS[number], {}))

    def _insert(self, key: int | None, row: Row) -> None:
        moment = row.moment
        if moment and isinstance(self.source, Shop):
            moment = moment.replace(tzinfo=None)
        values = {
            "row_id": key,
            self.source.label: row.label,
            "updated_at": moment,
            self.filler: None if row.sound else "x" * (ROW_BYTES + 1),
            **row.values,
        }
        places = ", ".join(["%s"] * len(values))
        self.run(
            f"insert into {self.table} ({', '.join(values)}) values ({places})", *values.values()
        )

    def add_column(self, name: str, width: int, default: Any) -> None:
        """Add a column of that width, with a default or without."""
        given = "" if default is None else f" default '{default}'"
        self.run(f"alter table {self.table} add {name} {self.columns[name][width][0]}{given}")

    def widen_column(self, name: str, width: int) -> None:
        """Give a column a wider type."""
        type_ = self.columns[name][width][0]
        self.run(f"alter table {self.table} {self.retype.format(name=name, type=type_)}")

    def drop_column(self, name: str) -> None:
        """Drop a column."""
        self.run(f"alter table {self.table} drop column {name}")


class Documents(Table):
    """The collection; each document has the fields that it has."""

    fields = ("size", "tier", "cart")
    kinds: Mapping[str, Sequence[Any]] = {
        "size": [1, Int64(2**40), 2.5, "large"],
        "tier": ["basic", "gold", "", "\\N"],
        "cart": [{"items": [1]}, ["sku"], {}, True],
    }

    def __init__(self, source: Clicks) -> None:
        self.source = source
        self.plain = False

    def reset(self, *, plain: bool) -> dict[str, int]:
        self.source.clear()
        self.plain = plain
        return {}

    def id(self, key: int) -> Any:
        return ObjectId(key.to_bytes(12, "big")) if self.plain or key % 2 else str(key)

    def name(self, key: int) -> str:
        return str(self.id(key))

    def values(self, sizes: Mapping[str, int], widths: Mapping[str, int]) -> dict[str, Any]:
        return {name: self.kinds[name][size] for name, size in sizes.items()}

    def put(self, key: int, rows: Sequence[Row]) -> None:
        self.source.client.sessions.delete_one({"_id": self.id(key)})
        for row in rows:
            document = {
                "_id": self.id(key),
                "landing_page": row.label,
                "updated_at": row.moment,
                "os": "??",
                **row.values,
            }
            whole = bson.encode(document)
            self.source.put_raw(whole if row.sound else whole.replace(b"??", b"\xff\xfe"))

    def put_nameless(self, numbers: Sequence[int]) -> None:
        self.source.client.sessions.delete_many({"browser": "nameless"})
        for number in numbers:
            whole = bson.encode(
                {"_id": f"??{number}", "browser": "nameless", "updated_at": NAMELESS[number]}
            )
            self.source.put_raw(whole.replace(b"??", b"\xff\xfe"))


def table_of(source: Source) -> Table:
    """The source's table, for changes of every kind."""
    if isinstance(source, Shop):
        return SqlTable(source, "target_value", "description", "modify {name} {type}")
    if isinstance(source, Marketing):
        return SqlTable(source, "budget", "target_audience", "alter {name} type {type}")
    return Documents(source)
