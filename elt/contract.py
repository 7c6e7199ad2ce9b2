"""The contract of a table against what its source has: raw follows what can be followed.

New columns and fields are added to raw, wider types widen raw's. A column that the source
dropped stays, and is null from then on. In the night that finds a table's columns changed, all
of it is read: renaming a column, or a default, moves no cursor. A column whose declared type
raw cannot take stops the table. Every difference is named in the load's result and kept in
``elt.contract_differences``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from elt.batch import SourceError
from elt.raw import raw_table
from elt.readers.snapshot import SourceColumn
from elt.specs import Column, TableSpec
from elt.values import takes, widened

MOST_ADDED = 100
_NAME_BYTES = 63


class IncompatibleColumnError(SourceError):
    """A source column has a type whose values its raw column can never hold."""


@dataclass(frozen=True)
class Difference:
    """One difference between a source and its contract.

    Its kind is ``added``, ``missing``, ``widened``, ``mixed`` (a field whose values have
    several types) or ``unnamed`` (a name that raw cannot have).
    """

    column: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.column}: {self.detail}"


@dataclass(frozen=True)
class Contract:
    """``raw`` has every column of the raw table; ``read`` those that the source has, too."""

    raw: TableSpec
    read: TableSpec
    differences: tuple[Difference, ...] = ()


def agree(
    conn: psycopg.Connection[Any], spec: TableSpec, columns: Sequence[SourceColumn] | None
) -> Contract:
    """Bring the raw table to what the source has, in the load's transaction.

    ``columns`` is None where the source declares none: then raw's own are read.

    Raises:
        IncompatibleColumnError: naming the column.
    """
    have = raw_columns(conn, spec)
    differences: list[Difference] = []
    for column in spec.columns:
        if column.name not in have:
            _add(conn, spec, column)
            have[column.name] = column.type
    for source in columns or ():
        if source.name == spec.key.name:
            continue
        if source.name in have:
            differences += _compare(conn, spec, have, source)
        elif can_be_added(spec, source.name, have):
            _add(conn, spec, Column(source.name, source.raw_type))
            have[source.name] = source.raw_type
        else:
            differences.append(_unnamed(source.name))
    declared = {column.name for column in spec.columns}
    differences += [_added(name, have[name]) for name in have if name not in declared]
    raw = replace(spec, columns=tuple(Column(*item) for item in have.items()))
    if columns is None:
        return Contract(raw, raw, tuple(differences))
    present = {source.name for source in columns}
    gone = [name for name in have if name not in present]
    differences = [d for d in differences if d.column not in gone]
    differences += [Difference(name, "missing", "missing in the source: null") for name in gone]
    kept = tuple(column for column in raw.columns if column.name in present)
    return Contract(raw, replace(raw, columns=kept), tuple(differences))


def add_fields(
    conn: psycopg.Connection[Any],
    contract: Contract,
    fields: Mapping[str, Iterable[str | None]],
) -> tuple[Contract, tuple[str, ...]]:
    """Add columns for fields that were met; returns the contract, and the columns' names.

    A field whose values have several types stays in ``_extra``, from then on for good:
    otherwise which rows a night happens to read would decide.
    """
    if not fields:
        return contract, ()
    spec = contract.raw
    have = {column.name: column.type for column in spec.columns}
    mixed = _known_mixed(conn, spec)
    added: list[Column] = []
    differences: list[Difference] = []
    for name, types in sorted(fields.items()):
        found = set(types)
        if name in mixed or len(found) != 1 or None in found:
            differences.append(Difference(name, "mixed", "values of several types: in _extra"))
        elif not can_be_added(spec, name, have):
            differences.append(_unnamed(name))
        else:
            column = Column(name, str(found.pop()))
            _add(conn, spec, column)
            have[name] = column.type
            added.append(column)
            differences.append(_added(name, column.type))
    columns = (*spec.columns, *added)
    raw = replace(spec, columns=columns)
    all_differences = tuple(dict.fromkeys((*contract.differences, *differences)))
    return Contract(raw, raw, all_differences), tuple(column.name for column in added)


def record(
    conn: psycopg.Connection[Any],
    spec: TableSpec,
    differences: Iterable[Difference],
    as_of: date,
) -> None:
    """Note the differences in ``elt.contract_differences``."""
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into elt.contract_differences as d
                (source_system, source_table, column_name, difference, detail, first_as_of,
                 last_as_of)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (source_system, source_table, column_name, difference, detail)
            do update set last_as_of = excluded.last_as_of
            where d.last_as_of <> excluded.last_as_of
            """,
            [
                (spec.system, spec.name, d.column, d.kind, d.detail, as_of, as_of)
                for d in differences
            ],
        )


def raw_columns(conn: psycopg.Connection[Any], spec: TableSpec) -> dict[str, str]:
    """The raw table's columns after the key, in order, with their types; no private ones."""
    rows = conn.execute(
        """
        select attname, format_type(atttypid, atttypmod) from pg_attribute
        where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))
            and attnum > 0 and not attisdropped
        order by attnum
        """,
        (spec.raw_schema, spec.name),
    ).fetchall()
    return {
        name: "timestamptz" if type_ == "timestamp with time zone" else type_
        for name, type_ in rows
        if name != spec.key.name and not name.startswith("_")
    }


def can_be_added(spec: TableSpec, name: str, have: Mapping[str, str]) -> bool:
    """Whether raw can have a column of this name beside those it has."""
    return (
        not name.startswith("_")
        and 0 < len(name.encode()) <= _NAME_BYTES
        and "\0" not in name
        and len(have) < len(spec.columns) + MOST_ADDED
    )


def _compare(
    conn: psycopg.Connection[Any], spec: TableSpec, have: dict[str, str], source: SourceColumn
) -> list[Difference]:
    name, raw_type = source.name, have[source.name]
    if not takes(raw_type, source.kind):
        raise IncompatibleColumnError(
            f"{spec.raw_name}: column {name!r} is now {source.raw_type} ({source.kind}) in the "
            f"source, and {raw_type} in raw cannot hold that; nothing was changed: put the source "
            "back, or change the contract in elt/specs.py and raw's column together"
        )
    wider = widened(raw_type, source.raw_type)
    declared = {column.name: column.type for column in spec.columns}.get(name, wider)
    if wider != raw_type:
        conn.execute(
            sql.SQL("alter table {} alter column {} type {}").format(
                raw_table(spec), sql.Identifier(name), sql.SQL(wider)
            )
        )
        have[name] = wider
    if wider == declared:
        return []
    return [Difference(name, "widened", f"widened from {declared} to {wider}")]


def _add(conn: psycopg.Connection[Any], spec: TableSpec, column: Column) -> None:
    conn.execute(
        sql.SQL("alter table {} add column {} {}").format(
            raw_table(spec), sql.Identifier(column.name), sql.SQL(column.type)
        )
    )


def _added(name: str, type_: str) -> Difference:
    return Difference(name, "added", f"not in the contract: added to raw as {type_}")


def _unnamed(name: str) -> Difference:
    return Difference(name[:200].replace("\0", ""), "unnamed", "raw can have no such column")


def _known_mixed(conn: psycopg.Connection[Any], spec: TableSpec) -> set[str]:
    rows = conn.execute(
        "select column_name from elt.contract_differences"
        " where source_system = %s and source_table = %s and difference = 'mixed'",
        (spec.system, spec.name),
    ).fetchall()
    return {name for (name,) in rows}
