"""Makes a world and writes it into the source databases that are given."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_generators.sinks import (
    check_mongo,
    check_mysql,
    check_postgres,
    write_mongo,
    write_mysql,
    write_postgres,
)
from data_generators.world import WorldArgs, make_world

if TYPE_CHECKING:
    import MySQLdb.connections
    import psycopg
    from pymongo.database import Database


@dataclass(frozen=True)
class GenerateResult:
    """The rows of each table, whether any database had to be written, and the time taken."""

    rows: dict[str, int]
    written: bool
    seconds: float


def generate(
    world_args: WorldArgs,
    mysql: MySQLdb.connections.Connection | None = None,
    postgres: psycopg.Connection[Any] | None = None,
    mongo: Database[dict[str, Any]] | None = None,
) -> GenerateResult:
    """Write the world of these arguments; databases that are None are left alone.

    All of the databases are looked at before the first is written, so that a refusal
    changes none of them.

    Raises:
        WorldMismatchError: a database holds a world of other arguments.
        ForeignDataError: a database holds data that was not generated here.
    """
    begun = time.perf_counter()
    actions = [
        *([check_mysql(mysql, world_args)] if mysql is not None else []),
        *([check_postgres(postgres, world_args)] if postgres is not None else []),
        *([check_mongo(mongo, world_args)] if mongo is not None else []),
    ]
    world = make_world(world_args.seed, world_args.scale, world_args.days, world_args.as_of)
    rows: dict[str, int] = {}
    if mysql is not None:
        rows |= write_mysql(mysql, world)
    if postgres is not None:
        rows |= write_postgres(postgres, world)
    if mongo is not None:
        rows |= write_mongo(mongo, world)
    written = any(action != "nothing" for action in actions)
    return GenerateResult(rows, written, time.perf_counter() - begun)
