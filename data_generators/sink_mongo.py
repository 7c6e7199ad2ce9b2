"""Writes a world's clickstream into MongoDB.

A transaction cannot hold millions of documents, so the marker says ``writing`` until the
last of them is there, and whoever finds it so wipes and writes again. As the documents'
``_id`` follow from the world, a second writer at the same time adds nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from data_generators.marker import MARKER, Action, Marker, decide
from data_generators.rows import plain
from data_generators.world import Table, World, WorldArgs
from elt.specs import MONGO, TableSpec

Document = dict[str, Any]

CHUNK = 5_000
PASSES = 3
DUPLICATE_KEY = 11000


def check_mongo(database: Database[Document], args: WorldArgs) -> Action:
    """Say what writing would do, without changing anything.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are documents, and no marker.
    """
    note = database[MARKER].find_one({"_id": "world"}, {"_id": 0})
    filled = [
        spec.name for spec in MONGO if database[spec.name].find_one({}, {"_id": 1}) is not None
    ]
    found = None if note is None else Marker(**note)
    return decide("the MongoDB clickstream", args, found, filled)


def write_mongo(database: Database[Document], world: World) -> dict[str, int]:
    """Write the five collections unless they are there; returns the documents of each.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are documents, and no marker.
        RuntimeError: documents that were written disappear: somebody else removes them.
    """
    wanted = {spec.name: world.rows[spec.name] for spec in MONGO}
    action = check_mongo(database, world.args)
    if action == "nothing":
        return wanted
    _mark(database, Marker.of(world.args, "writing"))
    if action == "rewrite":
        for spec in MONGO:
            database[spec.name].delete_many({})
    for _ in range(PASSES):
        for spec in MONGO:
            for documents in _documents(spec, world.tables[spec.name]):
                _insert(database[spec.name], documents)
        if {name: database[name].count_documents({}) for name in wanted} == wanted:
            _mark(database, Marker.of(world.args, "complete"))
            return wanted
    raise RuntimeError(
        "the MongoDB clickstream does not keep what is written: is another process writing "
        "or removing documents? Stop it and run this again"
    )


def _mark(database: Database[Document], marker: Marker) -> None:
    database[MARKER].replace_one({"_id": "world"}, asdict(marker), upsert=True)


def _documents(spec: TableSpec, table: Table) -> Iterator[list[Document]]:
    names = [column.name for column in spec.all_columns]
    size = len(table[spec.key.name])
    for at in range(0, size, CHUNK):
        parts = (plain(table[name][at : at + CHUNK]) for name in names)
        yield [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]


def _insert(collection: Collection[Document], documents: list[Document]) -> None:
    """Insert what is not there yet."""
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details
        others = [e for e in details["writeErrors"] if e["code"] != DUPLICATE_KEY]
        if others or details["writeConcernErrors"]:
            raise
