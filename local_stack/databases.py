"""Brings the databases of a stack to their current DDL."""

from collections.abc import Mapping, Sequence

import psycopg


def migrate(
    urls: Mapping[str, str],
    sources: Sequence[str],
    loader_url: str,
    grant_to: str | None,
) -> list[str]:
    """Apply what is new; names of what was applied.

    Args:
        urls: by kind, with the rights to change the schema.
        sources: the kinds among mysql, postgres and mongo whose databases are ours to change.
        loader_url: the warehouse for the login that loads it: raw tables belong to the loader.
        grant_to: the login that gets the warehouse's roles; None: the one in the URL.
    """
    # Imported here: the servers can be started and stopped without the rest of the project.
    from ddl.migrate import migrate as migrate_source
    from ddl.migrate import migrate_warehouse
    from elt.loader import ensure_raw

    applied = []
    with psycopg.connect(urls["warehouse"], autocommit=True) as connection:
        applied += migrate_warehouse(connection, grant_to)
    with psycopg.connect(loader_url, options="-c role=amato_loader") as connection:
        ensure_raw(connection)
    for source in sources:
        applied += migrate_source(source, urls[source])
    return applied
