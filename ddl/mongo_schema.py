"""Migrations of the MongoDB clickstream: one JSON file per collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import CollectionInvalid

from ddl.files import FOLDER, migrations

Document = dict[str, Any]


def migrate_mongo(database: Database[Document], folder: Path = FOLDER / "mongo") -> list[str]:
    """Apply what is new of ``ddl/mongo``; returns the new names.

    A file holds ``collection``, ``validator`` and ``indexes`` (lists of field names). Every
    step can be repeated, so a file cut off half-way is simply run again.

    Raises:
        MigrationChangedError: an applied file was edited.
    """
    notes = database["amato_migrations"]
    done = []
    for migration in migrations(folder, "json"):
        note = notes.find_one({"_id": migration.name})
        if note is not None:
            migration.check(note["sha256"])
            continue
        _apply(database, json.loads(migration.text))
        notes.replace_one({"_id": migration.name}, {"sha256": migration.sha256}, upsert=True)
        done.append(migration.name)
    return done


def _apply(database: Database[Document], declared: Document) -> None:
    name = declared["collection"]
    options = {"validator": declared["validator"], "validationAction": "warn"}
    try:
        database.create_collection(name, **options)
    except CollectionInvalid:
        database.command("collMod", name, **options)
    for fields in declared["indexes"]:
        database[name].create_index([(field, 1) for field in fields])
