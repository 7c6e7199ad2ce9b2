"""Writes the clickstream into MongoDB, in batches of documents that are encoded already.

A transaction cannot hold millions of documents, so the marker says ``writing`` until the last
of them is there. Whoever finds it so writes the same days again: documents are replaced by
their ``_id``, which follows from the world, and so none comes twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from data_generators.sinks.background import Background
from data_generators.sinks.changes import changes, size
from data_generators.sinks.documents import encode_documents
from data_generators.sinks.marker import MARKER, Marker, Plan, check_foreign, plan
from data_generators.sinks.progress import Progress
from data_generators.sinks.tables import Source
from elt.specs import MONGO

Document = dict[str, Any]

WHERE = "the MongoDB clickstream"
#: Two connections keep the server busy while one of them waits; a third gains nothing.
THREADS = 2
#: Documents a command: beyond some thousand the server gains nothing, and memory grows.
BATCH = 5_000
DUPLICATE_KEY = 11000
#: The marker is acknowledged when it is on disk, and with it all that was written before.
DURABLE = WriteConcern(w="majority", j=True)
QUICK = WriteConcern(w=1)


class Encoded(RawBSONDocument):
    """A document that pymongo must not look into: some of ours cannot be decoded."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


def mongo_marker(database: Database[Document]) -> Marker | None:
    """The marker of the world in the database; None in an empty one. Changes nothing.

    Raises:
        ForeignDataError: there are documents, and no marker.
        WorldMismatchError: an earlier version of AMATO has made the world.
    """
    stored = database[MARKER].find_one({"_id": "world"}, {"_id": 0})
    found = None if stored is None else Marker.read(WHERE, stored)
    filled = [
        spec.name for spec in MONGO if database[spec.name].find_one({}, {"_id": 1}) is not None
    ]
    check_foreign(WHERE, found, filled)
    return found


def write_mongo(database: Database[Document], wanted: Marker, tables: tuple[Source, ...]) -> bool:
    """Bring the database up to ``wanted``; returns whether anything had to be written.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are documents, and no marker.
        RuntimeError: documents that were written disappear: somebody else removes them.
    """
    todo = plan(WHERE, mongo_marker(database), wanted)
    if not todo.write:
        return False
    _put_marker(database, wanted.writing(todo.since))
    for source in tables:
        _write(database, source, todo, date.fromisoformat(wanted.until))
    _put_marker(database, wanted)
    return True


def count_mongo(database: Database[Document]) -> dict[str, int]:
    """The documents of each collection."""
    return {spec.name: database[spec.name].count_documents({}) for spec in MONGO}


def _put_marker(database: Database[Document], marker: Marker) -> None:
    notes = database.get_collection(MARKER, write_concern=DURABLE)
    notes.replace_one({"_id": "world"}, marker.stored(), upsert=True)


def _write(database: Database[Document], source: Source, todo: Plan, until: date) -> None:
    progress = Progress(source.spec.name, source.total)
    collection = database.get_collection(source.spec.name, write_concern=QUICK)
    start = None if todo.since is None else np.datetime64(todo.since, "s")
    fresh = todo.since is None and not todo.resumed
    expected = 0
    with Background(THREADS, THREADS) as background:
        for planted in source.rows():
            found = changes(planted, start, np.datetime64(until, "s"))
            expected += found.present
            for rows in (found.new, found.changed):
                documents = encode_documents(rows)
                for at in range(0, len(documents), BATCH):
                    batch = documents.slice(at, BATCH)
                    background.submit(_insert if fresh else _replace, collection, batch)
            if not fresh:
                _delete(collection, found.gone)
            progress.add(size(planted), size(found.new), size(found.changed), len(found.gone))
    if todo.since is None and collection.count_documents({}) < expected:
        raise RuntimeError(
            f"{WHERE} does not keep what is written into {source.spec.name}: is another process "
            "removing documents? Stop it and run this again"
        )
    progress.done()


def _insert(collection: Collection[Document], batch: Any) -> None:
    """Insert what is not there yet: another writer of this world may have begun before."""
    documents = [Encoded(document) for document in batch.to_pylist()]
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details or {}
        others = [e for e in details["writeErrors"] if e["code"] != DUPLICATE_KEY]
        if others or details["writeConcernErrors"]:
            raise


def _replace(collection: Collection[Document], batch: Any) -> None:
    """Replace by ``_id``, which is every document's first field, or insert."""
    requests: list[ReplaceOne[Document]] = [
        ReplaceOne({"_id": ObjectId(document[9:21])}, Encoded(document), upsert=True)
        for document in batch.to_pylist()
    ]
    collection.bulk_write(requests, ordered=False)


def _delete(collection: Collection[Document], gone: list[Any]) -> None:
    for at in range(0, len(gone), BATCH):
        ids = [_object_id(key) for key in gone[at : at + BATCH]]
        collection.delete_many({"_id": {"$in": ids}})


def _object_id(key: Any) -> ObjectId:
    """An ObjectId of its raw bytes, from which numpy has cut the NULs at the end."""
    return ObjectId(key.ljust(12, b"\0") if isinstance(key, bytes) else key)
