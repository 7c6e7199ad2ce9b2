"""Turns a batch of ordinary documents into COPY text column by column.

Looking at each value by itself costs more than all else. Here the types of a whole column are
looked at together, and its values are written together; what could be wrong with the text
shows in the joined batch. A batch in which anything is out of the ordinary is left to the
converter that looks at each value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from types import NoneType
from typing import Any

import orjson
from bson.int64 import Int64
from bson.objectid import ObjectId

from elt.extended_json import nested_to_json
from elt.specs import TableSpec
from elt.values import INT_BITS

Document = dict[str, Any]
# The column's texts, or None where a value needs a closer look.
Write = Callable[[Sequence[Any], bool], Sequence[str] | None]

_TYPES: dict[str, frozenset[type]] = {
    "text": frozenset({str}),
    **dict.fromkeys(INT_BITS, frozenset({int, Int64})),
    "timestamptz": frozenset({datetime}),
    "jsonb": frozenset({dict, list}),
    "boolean": frozenset({bool}),
    "double precision": frozenset({float}),
}
_BOOLS = {True: "t", False: "f", None: "\\N"}
_NO_FLOATS = frozenset({"nan", "inf", "-inf", "-0.0"})


class ColumnJoiner:
    """Joins batches by one spec."""

    def __init__(self, spec: TableSpec) -> None:
        """Prepare; a spec with other types than documents usually have is never joined."""
        self.names = [column.name for column in spec.all_columns]
        self.declared = frozenset(self.names)
        self.take = itemgetter(*self.names)
        self.types = [_TYPES.get(column.type, frozenset()) for column in spec.columns]
        self.writers = [_writer(column.type) for column in spec.columns]

    def join(self, documents: Sequence[Document]) -> bytes | None:
        """The batch as COPY text, ``_extra`` null, or None where it needs a closer look."""
        if not documents:
            return b""
        try:
            rows = list(map(self.take, documents))
            usual = all(len(document) == len(self.names) for document in documents)
        except KeyError:
            rows = [tuple(map(document.get, self.names)) for document in documents]
            usual = False
        if not usual and not set().union(*documents) <= self.declared:
            return None
        ids, *columns = zip(*rows, strict=True)
        if set(map(type, ids)) != {ObjectId}:
            return None
        texts: list[Sequence[str]] = [[id_.binary.hex() for id_ in ids]]
        backslashes = len(ids)
        for column, allowed, write in zip(columns, self.types, self.writers, strict=True):
            types = set(map(type, column))
            nulls = NoneType in types
            if not types - {NoneType} <= allowed:
                return None
            text = write(column, nulls)
            if text is None:
                return None
            if write is _write_nested:
                backslashes += sum(value.count("\\") for value in text)
            elif nulls:
                backslashes += column.count(None)
            texts.append(text)
        joined = "\t\\N\n".join([*map("\t".join, zip(*texts, strict=True)), ""])
        try:
            data = joined.encode()
        except UnicodeEncodeError:
            return None
        clean = (
            data.count(b"\\") == backslashes
            and data.count(b"\t") == len(ids) * len(self.names)
            and data.count(b"\n") == len(ids)
            and b"\r" not in data
            and b"\0" not in data
        )
        return data if clean else None


def _writer(raw_type: str) -> Write:
    if raw_type in INT_BITS:
        limit = 1 << (INT_BITS[raw_type] - 1)
        return lambda column, nulls: _write_ints(column, nulls, limit)
    writers: dict[str, Write] = {
        "timestamptz": _write_dates,
        "jsonb": _write_nested,
        "boolean": _write_bools,
        "double precision": _write_floats,
    }
    return writers.get(raw_type, _write_texts)


def _write_texts(column: Sequence[Any], nulls: bool) -> Sequence[str]:
    return ["\\N" if value is None else value for value in column] if nulls else column


def _write_ints(column: Sequence[Any], nulls: bool, limit: int) -> Sequence[str] | None:
    values = [value for value in column if value is not None] if nulls else column
    if values and not (-limit <= min(values) and max(values) < limit):
        return None
    return _split(orjson.dumps(column))


def _write_dates(column: Sequence[Any], nulls: bool) -> Sequence[str]:
    # Without a zone: the warehouse's session is in UTC.
    return _split(orjson.dumps(column).replace(b'"', b""))


def _write_bools(column: Sequence[Any], nulls: bool) -> Sequence[str]:
    return [_BOOLS[value] for value in column]


def _write_floats(column: Sequence[Any], nulls: bool) -> Sequence[str] | None:
    texts = ["\\N" if value is None else repr(value) for value in column]
    return None if _NO_FLOATS.intersection(texts) else texts


def _write_nested(column: Sequence[Any], nulls: bool) -> Sequence[str] | None:
    texts = []
    for value in column:
        if value is None:
            texts.append("\\N")
            continue
        encoded = nested_to_json(value)
        if encoded is None:
            return None
        texts.append(encoded.decode().replace("\\", "\\\\"))
    return texts


def _split(array: bytes) -> list[str]:
    """The elements of a JSON array of numbers or dates."""
    return array[1:-1].replace(b"null", b"\\N").decode().split(",")
