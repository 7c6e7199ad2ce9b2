"""Three real sources behind one face, so that every rule is tested on each of them."""

import base64
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from bson.raw_bson import RawBSONDocument
from psycopg import sql
from pymongo import MongoClient

from ddl.migrate import (
    connect_mysql,
    migrate_mongo,
    migrate_mysql,
    migrate_postgres,
    migrate_warehouse,
)
from elt.checksum import table_checksum
from elt.extract_load import _READERS, extract_and_load
from elt.loader import LoadResult, ensure_raw
from elt.nights import Night, open_night
from elt.options import LoadOptions
from elt.specs import BY_NAME, SPECS, TableSpec
from tests.conftest import Servers, fresh_name, with_database

AWKWARD_TEXTS = [
    "tab\tnewline\nreturn\rback\\slash",
    "\\N",
    "\\.",
    "NULL",
    "",
    " ",
    "\\u0000",
    "ünï😀",
    '"quoted", comma',
    "\x01\x1f\x7f",
]

Rows = dict[str, tuple[str | None, datetime | None]]


def at(day: int, hour: int = 12) -> datetime:
    """A moment in January 2026, UTC."""
    return datetime(2026, 1, day, hour, tzinfo=UTC)


class Shop:
    """MySQL; the table is customer_segments."""

    spec = BY_NAME["customer_segments"]
    label = "segment_name"

    def __init__(self, client: Any) -> None:
        self.client = client
        # Row id 0 is 0, and what no strict server would take is taken.
        self.run("set session sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'")

    def run(self, query: str, *params: Any) -> None:
        with closing(self.client.cursor()) as cursor:
            cursor.execute(query, params or None)
        self.client.commit()

    def put(self, key: int, label: str | None, moment: datetime | None) -> None:
        self.run(
            "replace into customer_segments (row_id, segment_id, segment_name, updated_at)"
            " values (%s, %s, %s, %s)",
            key,
            f"S{key}",
            label,
            moment.replace(tzinfo=None) if moment else None,
        )

    def delete(self, key: int) -> None:
        self.run("delete from customer_segments where row_id = %s", key)

    def clear(self) -> None:
        self.run("delete from customer_segments")


class Marketing:
    """PostgreSQL; the table is campaigns."""

    spec = BY_NAME["campaigns"]
    label = "campaign_name"

    def __init__(self, client: psycopg.Connection[Any]) -> None:
        self.client = client

    def put(self, key: int, label: str | None, moment: datetime | None) -> None:
        self.client.execute(
            "insert into campaigns (row_id, campaign_id, campaign_name, updated_at)"
            " values (%s, %s, %s, %s) on conflict (row_id) do update"
            " set campaign_name = excluded.campaign_name, updated_at = excluded.updated_at",
            (key, f"C{key}", label, moment),
        )

    def delete(self, key: int) -> None:
        self.client.execute("delete from campaigns where row_id = %s", (key,))

    def clear(self) -> None:
        self.client.execute("delete from campaigns")


class Clicks:
    """MongoDB; the collection is sessions."""

    spec = BY_NAME["sessions"]
    label = "landing_page"

    def __init__(self, client: Any) -> None:
        self.client = client

    def put(self, key: int, label: str | None, moment: datetime | None) -> None:
        document = {"session_id": f"S{key}", "landing_page": label, "updated_at": moment}
        self.client.sessions.replace_one({"_id": str(key)}, document, upsert=True)

    def put_raw(self, document: bytes) -> None:
        """Insert a document as it is, decodable or not."""
        insert = {"insert": "sessions", "bypassDocumentValidation": True}
        self.client.command({**insert, "documents": [RawBSONDocument(document)]})

    def delete(self, key: int) -> None:
        self.client.sessions.delete_one({"_id": str(key)})

    def clear(self) -> None:
        self.client.sessions.delete_many({})


Source = Shop | Marketing | Clicks


@contextmanager
def shared_warehouse(servers: Servers) -> Iterator[str]:
    """The URL of a migrated warehouse for a whole module: making one takes seconds."""
    with _shared_postgres(servers.warehouse_url, "warehouse_elt") as url:
        with psycopg.connect(url) as owner:
            migrate_warehouse(owner)
            ensure_raw(owner)
        yield url


def empty_warehouse(url: str) -> None:
    """Forget all that was loaded."""
    state = [
        ("elt", name)
        for name in ("nights", "load_log", "watermarks", "rejected_rows", "contract_differences")
    ]
    tables = [*state, *((spec.raw_schema, spec.name) for spec in SPECS)]
    with psycopg.connect(url) as owner:
        # Raw tables that followed their source's columns are made anew.
        drifted = owner.execute(
            "select distinct 'raw_' || source_system, source_table from elt.contract_differences"
        ).fetchall()
        for table in drifted:
            owner.execute(sql.SQL("drop table {}").format(sql.Identifier(*table)))
        ensure_raw(owner)
        owner.execute(
            sql.SQL("truncate {}").format(
                sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
            )
        )
        owner.execute("alter sequence elt.batch_ids restart")


@contextmanager
def shared_source(system: str, servers: Servers) -> Iterator[str]:
    """The URL of a migrated source for a whole module."""
    if system == "postgres":
        with _shared_postgres(servers.marketing_url, "marketing_elt") as url:
            with psycopg.connect(url) as owner:
                migrate_postgres(owner)
            yield url
        return
    name = fresh_name(f"{system}_elt")
    if system == "mysql":
        with closing(connect_mysql(with_database(servers.mysql_url, "mysql"))) as server:
            server.query(f"create database `{name}` character set utf8mb4")
            url = with_database(servers.mysql_url, name)
            with closing(connect_mysql(url)) as shop:
                migrate_mysql(shop)
            yield url
            server.query(f"drop database `{name}`")
        return
    with MongoClient(servers.mongo_url) as client:
        migrate_mongo(client[name])
        yield with_database(servers.mongo_url, name)
        client.drop_database(name)


@contextmanager
def _shared_postgres(server_url: str, prefix: str) -> Iterator[str]:
    database = fresh_name(prefix)
    name = sql.Identifier(database)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("create database {}").format(name))
    yield with_database(server_url, database)
    # A connection of its own: tests may have crashed the server.
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("drop database {} with (force)").format(name))


@contextmanager
def open_source(system: str, url: str) -> Iterator[Source]:
    """Connect to one of the three sources."""
    if system == "mysql":
        with closing(connect_mysql(url)) as shop:
            yield Shop(shop)
    elif system == "postgres":
        with psycopg.connect(url, autocommit=True) as marketing:
            yield Marketing(marketing)
    else:
        with MongoClient(url) as client:
            yield Clicks(client.get_default_database())


@contextmanager
def open_warehouse(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the loader does."""
    with psycopg.connect(url, options="-c role=amato_loader") as conn:
        yield conn


ALLOWED = LoadOptions(allow_deletes=True)


def load_night(
    conn: psycopg.Connection[Any], source: Source, day: int, options: LoadOptions = ALLOWED
) -> LoadResult:
    """Open the night of a day in January 2026 and load the source's table."""
    return reload(conn, source, open_night(conn, date(2026, 1, day)), options)


def reload(
    conn: psycopg.Connection[Any], source: Source, night: Night, options: LoadOptions = ALLOWED
) -> LoadResult:
    """Load the source's table in a night that is open."""
    return extract_and_load(source.client, conn, source.spec, night, options)


class Meddled:
    """A snapshot whose read of the window is replaced by what ``read`` makes of it."""

    def __init__(self, snapshot: Any, read: Any) -> None:
        self._snapshot = snapshot
        self._read = read

    def read(self, window: Any) -> Any:
        return self._read(self._snapshot.read(window))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)


def meddled(source: Source, night: Night, read: Any) -> Any:
    """What :func:`elt.loader.load` opens: the source's table, read through ``read``."""

    @contextmanager
    def opened() -> Iterator[Meddled]:
        reader = _READERS[source.spec.system]
        with reader(source.client, source.spec, night.window(source.spec).end) as snapshot:
            yield Meddled(snapshot, read)

    return opened


def terminate(url: str, pid: int) -> None:
    """End a session of a PostgreSQL server, and wait until it is gone."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 10000)", (pid,))


def lose_before(conn: psycopg.Connection[Any], url: str, statement: int) -> None:
    """Have the server end this connection just before its n-th statement from now on."""
    left = statement

    class Counting(psycopg.Cursor[Any]):
        def count(self) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                terminate(url, conn.info.backend_pid)

        def execute(self, *args: Any, **more: Any) -> Any:
            self.count()
            return super().execute(*args, **more)

        def copy(self, *args: Any, **more: Any) -> Any:
            self.count()
            return super().copy(*args, **more)

    conn.cursor_factory = Counting


def query(conn: psycopg.Connection[Any], statement: str, *params: Any) -> list[tuple[Any, ...]]:
    """Run a query in a transaction of its own."""
    with conn.transaction():
        return conn.execute(statement.encode(), params or None).fetchall()


def live(conn: psycopg.Connection[Any], spec: TableSpec, columns: str) -> list[tuple[Any, ...]]:
    """Columns of a table's live rows, by key."""
    return query(
        conn,
        f"select {columns} from {spec.raw_name} where _valid_to is null order by {spec.key.name}",
    )


def binary(value: bytes, subtype: str = "00") -> dict[str, Any]:
    """Bytes as canonical Extended JSON."""
    return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": subtype}}


def raw_as_of(conn: psycopg.Connection[Any], source: Source, day: int) -> Rows:
    """The rows that were live on the night of a day in January 2026, by key."""
    spec, night = source.spec, date(2026, 1, day)
    rows = query(
        conn,
        f"select {spec.key.name}::text, {source.label}, {spec.cursor} from {spec.raw_name}"
        " where _valid_from <= %s and (_valid_to is null or _valid_to > %s)",
        night,
        night,
    )
    assert len({row[0] for row in rows}) == len(rows), "two versions of a key are live"
    return {row[0]: (row[1], row[2] and row[2].astimezone(UTC)) for row in rows}


def versions(conn: psycopg.Connection[Any], source: Source) -> list[tuple[Any, ...]]:
    """Every version: key, label, day of _valid_from, day of _valid_to."""
    spec = source.spec
    return query(
        conn,
        f"select {spec.key.name}::text, {source.label}, extract(day from _valid_from)::int,"
        f" extract(day from _valid_to)::int from {spec.raw_name} order by 1, 3",
    )


def fingerprint(conn: psycopg.Connection[Any], source: Source) -> str:
    """A checksum of the raw table with its private columns."""
    spec = source.spec
    key = [spec.key.name, "_valid_from"]
    return table_checksum(conn, spec.raw_schema, spec.name, key, with_private=True)
