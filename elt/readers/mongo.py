"""Reads MongoDB collections: raw batches in one snapshot, decoded here field by field."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database

from elt import batch as limits
from elt.batch import Batch, Rejected, Window, rejected
from elt.documents import DocumentFit, document_fit_for, escape_text, key_text
from elt.extended_json import canonical
from elt.specs import TableSpec

log = logging.getLogger(__name__)

# The default of 16 MB a reply is slower by half, at five times the memory.
BATCH_SIZE = 1_000

Document = dict[str, Any]
# Dates that Python cannot hold come as DatetimeMS instead of ending the read.
_OPTIONS: CodecOptions[Document] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_LENIENT: CodecOptions[Document] = _OPTIONS.with_options(unicode_decode_error_handler="replace")


def extract(client: Database[Any], spec: TableSpec, window: Window) -> Iterator[Batch]:
    """Read the whole collection; documents from ``window.end`` on are counted and held.

    A missing collection is an empty one: MongoDB makes them with the first document. On a
    replica set (or through mongos) the count and the read see the same snapshot; a
    stand-alone server has none.
    """
    collection: Collection[Any] = client[spec.name]
    converter = _Converter(spec, window)
    with _session(client) as session:
        counted = next(collection.aggregate([{"$count": "n"}], session=session), {"n": 0})
        yield Batch(0, b"", expected=int(counted["n"]))
        cursor = collection.find_raw_batches({}, batch_size=BATCH_SIZE, session=session)
        with cursor:
            for reply in cursor:
                yield from converter.batches(reply)
    converter.report()


def _session(client: Database[Any]) -> Any:
    hello: Mapping[str, Any] = client.client.admin.command("hello")
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        session: ClientSession = client.client.start_session(snapshot=True)
        return session
    log.warning("MongoDB is no replica set: collections are read without a snapshot")
    return nullcontext(None)


class _Converter:
    """Turns replies into batches, by one spec and window."""

    def __init__(self, spec: TableSpec, window: Window) -> None:
        self.spec = spec
        self.end = window.end.astimezone(UTC).replace(tzinfo=None)
        self.end_ms = DatetimeMS(self.end)
        self.fields: tuple[tuple[str, DocumentFit], ...] = tuple(
            (column.name, document_fit_for(column.type)) for column in spec.columns
        )
        self.declared = frozenset(column.name for column in spec.all_columns)
        self.undeclared: set[str] = set()

    def batches(self, reply: bytes) -> Iterator[Batch]:
        """One batch a reply; documents one by one where it is large or cannot be decoded."""
        if len(reply) <= limits.BATCH_BYTES:
            try:
                documents = bson.decode_all(reply, _OPTIONS)
            except InvalidBSON:
                pass
            else:
                yield self._batch(documents, [])
                return
        for part in _parts(reply):
            yield self._one_by_one(part)

    def report(self) -> None:
        """Log which undeclared fields were met."""
        if self.undeclared:
            log.warning(
                "%s: undeclared fields went to _extra: %s",
                self.spec.name,
                ", ".join(sorted(self.undeclared)[:50]),
            )

    def _one_by_one(self, raws: list[bytes]) -> Batch:
        documents: list[Document] = []
        broken: list[Rejected] = []
        for raw in raws:
            try:
                documents.append(bson.decode(raw, _OPTIONS))
            except InvalidBSON as error:
                broken.append(rejected(_broken_key(raw), f"undecodable: {error}", raw))
        return self._batch(documents, broken)

    def _batch(self, documents: list[Document], broken: list[Rejected]) -> Batch:
        lines: list[str] = []
        held: list[str] = []
        for document in documents:
            key = key_text(document.get("_id"))
            if key is None or len(key.encode()) > limits.KEY_BYTES:
                reason = "null key" if key is None else f"key over {limits.KEY_BYTES} bytes"
                broken.append(rejected(key, reason, bson.encode(document, codec_options=_OPTIONS)))
            elif self._is_held(document):
                held.append(key)
            else:
                lines.append(self._line(key, document))
        data = "\n".join([*lines, ""]).encode()
        return Batch(len(lines), data, tuple(held), tuple(broken))

    def _is_held(self, document: Document) -> bool:
        value = document.get(self.spec.cursor) if self.spec.cursor else None
        if type(value) is datetime:
            return value >= self.end
        return type(value) is DatetimeMS and value >= self.end_ms

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
            undeclared = document.keys() - self.declared
            self.undeclared |= undeclared
            extra.update((name, document[name]) for name in sorted(undeclared))
        if extra:
            parts.append(escape_text(canonical(extra).decode()) or "\\N")
        else:
            parts.append("\\N")
        return "\t".join(parts)


def _parts(reply: bytes) -> Iterator[list[bytes]]:
    """Cut a reply into its documents, in groups of bounded size."""
    start, group, size = 0, list[bytes](), 0
    while start < len(reply):
        (length,) = struct.unpack_from("<i", reply, start)
        group.append(reply[start : start + length])
        start += length
        size += length
        if size >= limits.BATCH_BYTES:
            yield group
            group, size = [], 0
    yield group


def _broken_key(raw: bytes) -> str | None:
    """The ``_id`` of a document that cannot be decoded, where at least that can."""
    try:
        key = key_text(bson.decode(raw, _LENIENT).get("_id"))
    except InvalidBSON:
        return None
    # An id that is itself mended is no id: two documents could share it.
    return None if key is None or "\ufffd" in key else key
