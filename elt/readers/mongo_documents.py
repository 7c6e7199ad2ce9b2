"""Turns MongoDB's raw replies into batches, field by field and by strict BSON type."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON

from elt import batch as limits
from elt.batch import Batch, Rejected, rejected
from elt.documents import DocumentFit, document_fit_for, escape_text, key_text, raw_type_of
from elt.extended_json import canonical
from elt.native import copier
from elt.readers.mongo_columns import ColumnJoiner
from elt.specs import TableSpec

Document = dict[str, Any]
# Dates that Python cannot hold come as DatetimeMS instead of ending the read.
_OPTIONS: CodecOptions[Document] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_LENIENT: CodecOptions[Document] = _OPTIONS.with_options(unicode_decode_error_handler="replace")


class DocumentConverter:
    """Turns replies into batches, by one spec.

    ``undeclared`` gathers the undeclared fields that were met, each with the raw types that
    its values have (None for a value that no scalar type holds).
    """

    def __init__(self, spec: TableSpec) -> None:
        """Prepare a test for each of the spec's columns."""
        self.fields: tuple[tuple[str, DocumentFit], ...] = tuple(
            (column.name, document_fit_for(column.type)) for column in spec.columns
        )
        self.declared = frozenset(column.name for column in spec.all_columns)
        self.columns = tuple((column.name, column.type) for column in spec.all_columns)
        self.copy_lines = copier()
        self.joiner = ColumnJoiner(spec)
        self.undeclared: defaultdict[str, set[str | None]] = defaultdict(set)

    def batches(self, reply: bytes) -> Iterator[Batch]:
        """Batches of bounded size: of ordinary documents, then of those that need a closer look."""
        for part in _parts(reply):
            copied = self.copy_lines(part, self.columns) if self.copy_lines else None
            if copied is None:
                yield self._decoded(part)
                continue
            data, rows, odd = copied
            if rows:
                yield Batch(rows, data)
            if odd:
                yield self._decoded(b"".join(odd))

    def _decoded(self, part: bytes) -> Batch:
        try:
            documents = bson.decode_all(part, _OPTIONS)
        except InvalidBSON:
            return self._one_by_one(_documents(part))
        return self._batch(documents, [])

    def _one_by_one(self, raws: Iterator[bytes]) -> Batch:
        documents: list[Document] = []
        broken: list[Rejected] = []
        for raw in raws:
            try:
                documents.append(bson.decode(raw, _OPTIONS))
            except InvalidBSON as error:
                broken.append(rejected(_broken_key(raw), f"undecodable: {error}", raw))
        return self._batch(documents, broken)

    def _batch(self, documents: list[Document], broken: list[Rejected]) -> Batch:
        data = self.joiner.join(documents)
        if data is not None:
            return Batch(len(documents), data, tuple(broken))
        lines: list[str] = []
        for document in documents:
            key = key_text(document.get("_id"))
            if key is None or len(key.encode()) > limits.KEY_BYTES:
                reason = "null key" if key is None else f"key over {limits.KEY_BYTES} bytes"
                broken.append(rejected(key, reason, bson.encode(document, codec_options=_OPTIONS)))
            else:
                lines.append(self._line(key, document))
        return Batch(len(lines), "\n".join([*lines, ""]).encode(), tuple(broken))

    def _line(self, key: str, document: Document) -> str:
        extra: Document = {}
        parts = [escape_text(key) or ""]
        for name, fit in self.fields:
            value = document.get(name)
            if value is None:
                parts.append("\\N")
                continue
            fitted = fit(value)
            if fitted is None:
                extra[name] = value
                parts.append("\\N")
            else:
                parts.append(fitted)
        if not document.keys() <= self.declared:
            for name in sorted(document.keys() - self.declared):
                extra[name] = value = document[name]
                if value is not None:
                    self.undeclared[name].add(raw_type_of(value))
        if extra:
            parts.append(escape_text(canonical(extra).decode()) or "\\N")
        else:
            parts.append("\\N")
        return "\t".join(parts)


def only_id(raw: bytes) -> bytes:
    """A document of the ``_id`` element alone, its bytes as they are."""
    (end,) = struct.unpack_from("<i", raw)
    at = 4
    while at < end - 1:
        name_end = raw.index(b"\0", at + 1)
        after = name_end + 1 + _value_size(raw, raw[at], name_end + 1)
        if raw[at + 1 : name_end] == b"_id":
            element = raw[at:after]
            return struct.pack("<i", len(element) + 5) + element + b"\0"
        at = after
    return b"\x05\0\0\0\0"


_SIZES = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}
_SIZES |= {0x13: 16, 0x7F: 0, 0xFF: 0}
_LENGTH_FIRST = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0D: 4, 0x0E: 4, 0x0F: 0, 0x0C: 16}


def _value_size(raw: bytes, type_: int, at: int) -> int:
    """The size of a BSON value in bytes."""
    if type_ in _SIZES:
        return _SIZES[type_]
    if type_ == 0x0B:
        pattern = raw.index(b"\0", at)
        return raw.index(b"\0", pattern + 1) + 1 - at
    (length,) = struct.unpack_from("<i", raw, at)
    return int(length) + _LENGTH_FIRST[type_]


def _parts(reply: bytes) -> Iterator[bytes]:
    """Cut a reply, between documents, where it is large."""
    if len(reply) <= limits.BATCH_BYTES:
        yield reply
        return
    group, size = list[bytes](), 0
    for raw in _documents(reply):
        group.append(raw)
        size += len(raw)
        if size >= limits.BATCH_BYTES:
            yield b"".join(group)
            group, size = [], 0
    if group:
        yield b"".join(group)


def _documents(reply: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(reply):
        (length,) = struct.unpack_from("<i", reply, start)
        if not 0 < length <= len(reply) - start:
            raise InvalidBSON("a reply that is not made of whole documents")
        yield reply[start : start + length]
        start += length


def _broken_key(raw: bytes) -> str | None:
    """The ``_id`` of a document that cannot be decoded, where at least that can."""
    try:
        key = key_text(bson.decode(raw, _LENIENT).get("_id"))
    except InvalidBSON:
        return None
    # An id that is itself mended is no id: two documents could share it.
    return None if key is None or "\ufffd" in key else key
