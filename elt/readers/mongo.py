"""Reads MongoDB collections: raw batches in one snapshot."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

from bson.min_key import MinKey
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.cursor import CursorType
from pymongo.database import Database
from pymongo.errors import OperationFailure

from elt.batch import Batch, SourceError, Window
from elt.digest import FLOOR, HASHED, Buckets, Digest
from elt.documents import key_value
from elt.readers.mongo_documents import DocumentConverter, only_id
from elt.readers.mongo_keys import Digester, KeySet, PairReader, Pairs, in_buckets
from elt.readers.mongo_stream import ReplyStream
from elt.readers.snapshot import SourceColumn
from elt.specs import TableSpec

log = logging.getLogger(__name__)

# The default of 16 MB a reply is slower by half, at five times the memory.
BATCH_SIZE = 1_000
PAIRS_AT_ONCE = 20_000
KEYS_AT_ONCE = 1_000
SAMPLE = 500
_SNAPSHOT_TOO_OLD = 239

# An index with one of these lacks documents, has another order, or cannot be asked for.
_UNFIT = {"sparse", "partialFilterExpression", "collation", "hidden"}

Filter = Mapping[str, Any]


def extract(client: Database[Any], spec: TableSpec, window: Window) -> Iterator[Batch]:
    """Read a window of a collection, its declared fields only."""
    with snapshot(client, spec, window.end) as opened:
        opened.use(spec)
        yield from opened.read(window)


@contextmanager
def snapshot(client: Database[Any], spec: TableSpec, end: datetime) -> Iterator[MongoSnapshot]:
    """Look at one collection.

    A missing collection is an empty one: MongoDB makes them with the first document. On a
    replica set (or through mongos) all reads see the same snapshot; a stand-alone server
    has none.

    Raises:
        SourceError: the server does not keep snapshots for as long as the read takes.
    """
    try:
        with _session(client) as session:
            yield MongoSnapshot(client[spec.name], session, spec, end)
    except OperationFailure as error:
        if error.code != _SNAPSHOT_TOO_OLD:
            raise
        raise SourceError(
            f"collection {spec.name!r} in MongoDB database {client.name!r}: reading it takes "
            "longer than the server keeps a snapshot (300 s unless set): raise its parameter "
            "minSnapshotHistoryWindowInSeconds, then run the task again"
        ) from error


def _session(client: Database[Any]) -> Any:
    hello: Mapping[str, Any] = client.client.admin.command("hello")
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        session: ClientSession = client.client.start_session(snapshot=True)
        return session
    log.warning("MongoDB is no replica set: collections are read without a snapshot")
    return nullcontext(None)


class MongoSnapshot:
    """One collection in a session's snapshot; see :class:`elt.readers.snapshot.Snapshot`."""

    columns: tuple[SourceColumn, ...] | None = None
    first_buckets = HASHED

    def __init__(
        self, collection: Collection[Any], session: Any, spec: TableSpec, end: datetime
    ) -> None:
        """Look at the collection up to the bound ``end``."""
        self.collection = collection
        self.session = session
        self.cursor = spec.cursor
        self.end = end.astimezone(UTC).replace(tzinfo=None)
        self.converter = DocumentConverter(spec)
        self.nameless: list[bytes] = []
        self.left_out = KeySet(())
        self.index: str | None = None
        for name, index in collection.index_information(session=None).items():
            if index["key"] == [(self.cursor, 1), ("_id", 1)] and not index.keys() & _UNFIT:
                self.index = name

    @property
    def has_cursor(self) -> bool:
        """Whether the spec names a cursor; a document without a date in it is always read."""
        return self.cursor is not None

    def fields(self) -> dict[str, frozenset[str | None]]:
        """Undeclared fields met so far."""
        return {name: frozenset(types) for name, types in self.converter.undeclared.items()}

    def sample(self) -> None:
        """Look at the first and the last documents."""
        for order in (1, -1):
            for reply in self._find({}, sort=[("_id", order)], limit=SAMPLE):
                for _ in self.converter.batches(reply):
                    pass

    def use(self, read: TableSpec) -> None:
        """Read these fields from now on."""
        self.converter = DocumentConverter(read)

    def held(self) -> Iterator[list[str]]:
        """The keys of documents at or after the bound."""
        if self.cursor is None:
            return
        projection = {"_id": 1}
        for reply in self._find(
            self._held(), projection, batch_size=PAIRS_AT_ONCE, hint=self.index
        ):
            reader = PairReader(None, self.end)
            for pairs in reader.read(reply):
                yield [key.tobytes().decode() for key in pairs.keys]

    def read(self, window: Window) -> Iterator[Batch]:
        """The documents of a window, and those whose cursor is no usable date."""
        if self.cursor is None or window.start is None:
            # All of a collection is counted by its digest. It is never read by way of the
            # cursor's index: that would look up one document after another.
            yield from self._batches(self._below(), hint=[("$natural", 1)])
            return
        where = self._window(self.cursor, window)
        count = self.collection.count_documents(where, session=self.session)
        for batch in self._unusable(self.cursor, where):
            count += batch.rows + len(batch.rejected)
            yield batch
        yield Batch(0, b"", expected=count)
        yield from self._batches(where)

    def read_keys(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The documents of these keys."""
        for at in range(0, len(keys), KEYS_AT_ONCE):
            ids = [key_value(key) for key in keys[at : at + KEYS_AT_ONCE]]
            yield from self._batches({"$and": [{"_id": {"$in": ids}}, self._below()]})

    def read_nameless(self) -> Iterator[Batch]:
        """Documents whose ``_id`` is null, too long, or cannot be decoded."""
        for pair in self.nameless:
            # A filter of find() would be decoded by the driver, which the key may not survive.
            match = {"$match": RawBSONDocument(only_id(pair))}
            with self.collection.aggregate_raw_batches([match], session=self.session) as cursor:
                for reply in cursor:
                    yield from self.converter.batches(reply)

    def leave_out(self, keys: Sequence[str]) -> int:
        """All: to look into buckets of hashes is to read the keys of the whole collection."""
        self.left_out = KeySet(keys)
        return len(keys)

    def buckets(self, low: int | None, high: int | None) -> Buckets:
        """Texts are divided by their hash."""
        return HASHED

    def digest(self, buckets: Buckets) -> Digest:
        """The digest of the collection, from a stream of its keys and cursors."""
        reader, digester = PairReader(self.cursor, self.end, self.left_out), Digester()
        for pairs in self._pairs(reader):
            digester.add(pairs)
        self.nameless = reader.nameless
        return digester.result()

    def pairs(self, buckets: Buckets, wanted: Sequence[int]) -> Iterator[bytes]:
        """Keys and cursors of the documents in the wanted buckets."""
        for pairs in self._pairs(PairReader(self.cursor, self.end, self.left_out)):
            yield pairs.lines(in_buckets(pairs, wanted))

    def _pairs(self, reader: PairReader) -> Iterator[Pairs]:
        projection = {"_id": 1, **({self.cursor: 1} if self.cursor else {})}
        for reply in self._find({}, projection, batch_size=PAIRS_AT_ONCE, hint=self.index):
            yield from reader.read(reply)

    def _batches(self, where: Any, hint: Any = None, **more: Any) -> Iterator[Batch]:
        for reply in self._find(where, batch_size=BATCH_SIZE, hint=hint, **more):
            yield from self.converter.batches(reply)

    def _find(
        self, where: Any, projection: Filter | None = None, hint: Any = None, **more: Any
    ) -> Iterator[bytes]:
        # The server sends one reply after the other and waits for no question; mongos does not.
        asked = "limit" in more or self.collection.database.client.is_mongos
        cursor = ReplyStream(
            self.collection,
            where,
            projection,
            session=self.session,
            hint=hint,
            cursor_type=CursorType.NON_TAILABLE if asked else CursorType.EXHAUST,
            **more,
        )
        with cursor:
            yield from cursor

    def _below(self) -> dict[str, Any]:
        """Not held: the loader leaves those documents for a later night."""
        return {} if self.cursor is None else {"$nor": [self._held()]}

    def _window(self, name: str, window: Window) -> dict[str, Any]:
        assert window.start is not None
        start = window.start.astimezone(UTC).replace(tzinfo=None)
        # A date keeps milliseconds: to begin a little earlier loses nothing.
        start = start.replace(microsecond=start.microsecond // 1000 * 1000)
        if window.after is None:
            return {name: {"$gte": start, "$lt": self.end}}
        # Other types of key than the watermark's may come after it or before.
        key = key_value(window.after)
        return {
            "$or": [
                {name: {"$gt": start, "$lt": self.end}},
                {name: start, "_id": {"$not": {"$lte": key}}},
            ]
        }

    def _unusable(self, name: str, window: Filter) -> Iterator[Batch]:
        """Documents whose cursor is before ``FLOOR``, null, missing, or no date at all.

        A condition on types would look at every document. In the index all of these stand
        before the first usable date or, a few types, behind the last one.
        """
        floor = FLOOR.replace(tzinfo=None)
        if self.index is None:
            usable = {name: {"$gte": floor, "$lte": datetime.max}}
            yield from self._batches({"$nor": [window, usable, self._held()]})
            return
        ends: tuple[dict[str, Any], ...] = (
            {"max": {name: floor, "_id": MinKey()}},
            {"min": {name: Timestamp(0, 0), "_id": MinKey()}},
        )
        # An array has an entry for each element, and may be in the window, too.
        for end, more in zip(ends, ([], [{name: {"$type": "array"}}]), strict=True):
            where = {"$nor": [window, self._held(), *more]}
            yield from self._batches(where, hint=self.index, **end)

    def _held(self) -> dict[str, Any]:
        return {str(self.cursor): {"$gte": self.end}}
