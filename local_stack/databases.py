"""Brings the databases of a stack to their current DDL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import MySQLdb
import psycopg
from psycopg.conninfo import make_conninfo
from pymongo.errors import PyMongoError

from ddl.files import MigrationChangedError
from ddl.roles import MissingRightError
from local_stack.layout import StackError


def migrate(
    urls: Mapping[str, str],
    sources: Sequence[str],
    loader_url: str,
    grant_to: str | None,
    given: Mapping[str, str],
) -> list[str]:
    """Apply what is new; names of what was applied.

    Args:
        urls: by kind, with the rights to change the schema.
        sources: the kinds among mysql, postgres and mongo whose databases are ours to change.
        loader_url: the warehouse for the login that loads it: raw tables belong to the loader.
        grant_to: the login that gets the warehouse's roles; None: the one in the URL.
        given: by kind, the variable that gave its URL, which an error then names.

    Raises:
        StackError: a database cannot be reached, refuses the login or lacks a right, or a
            migration was changed after it was applied.
    """
    # Imported here: the servers can be started and stopped without the rest of the project.
    from ddl.migrate import migrate as migrate_source
    from ddl.migrate import migrate_warehouse
    from elt.loader import ensure_raw

    applied = []
    with clear_errors("warehouse", urls["warehouse"], given.get("warehouse")):
        with _connect(urls["warehouse"]) as connection:
            connection.autocommit = True
            applied += migrate_warehouse(connection, grant_to)
        with _connect(loader_url, options="-c role=amato_loader") as connection:
            ensure_raw(connection)
    for source in sources:
        with clear_errors(source, urls[source], given.get(source)):
            applied += migrate_source(source, urls[source])
    return applied


def _connect(url: str, **parameters: str) -> psycopg.Connection:
    try:
        conninfo = make_conninfo(url, **parameters)
    except psycopg.ProgrammingError as error:
        raise psycopg.OperationalError(str(error)) from None
    return psycopg.connect(conninfo)


@contextmanager
def clear_errors(kind: str, url: str, variable: str | None = None) -> Iterator[None]:
    """Raise what goes wrong with a database as a StackError of one line, without its password.

    Args:
        kind: what the database is: mysql, postgres, mongo or warehouse.
        url: its address.
        variable: what gave the address; None: it is a server of the stack itself.
    """
    place = url.partition("://")[2].partition("?")[0].rpartition("@")[2]
    try:
        yield
    except (MigrationChangedError, MissingRightError) as error:
        raise StackError(f"{kind} at {place}: {error}") from error
    except (
        psycopg.OperationalError,
        psycopg.errors.InsufficientPrivilege,
        MySQLdb.OperationalError,
        PyMongoError,
    ) as error:
        if variable:
            remedy = f"correct {variable}, or mend that server, and try again"
        else:
            remedy = "`make status` shows whether it runs, its log what happened"
        reason = _without_password(" ".join(str(error).split()), urlsplit(url).password or "")
        # Without the cause, whose text may quote the URL.
        raise StackError(f"{kind} at {place} cannot be used: {reason}; {remedy}") from None


def _without_password(text: str, password: str) -> str:
    for form in {password, unquote(password)} - {""}:
        text = text.replace(form, "***")
    return text
