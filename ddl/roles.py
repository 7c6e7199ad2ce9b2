"""The five roles of the warehouse: made where they are missing, and granted to a login.

Roles belong to the whole PostgreSQL cluster. Several databases of one cluster may be
migrated at the same time, so another session may make the same role between our look and
our ``create``: that is no error.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

ROLES = (
    "amato_loader",
    "amato_transformer",
    "amato_validator",
    "amato_scientist",
    "amato_reader",
)
ATTEMPTS = 20


class MissingRightError(RuntimeError):
    """The login lacks a right that setting up the warehouse needs."""


def ensure_roles(conn: psycopg.Connection[tuple[object, ...]], grant_to: str | None) -> None:
    """Make the missing roles, and grant all five to the current login and ``grant_to``.

    Raises:
        MissingRightError: the login may not create a role, grant it, or create schemas;
            the message names the right and the statement that gives it.
    """
    login, database, may_create = _one(
        conn,
        "select current_user::text, current_database()::text,"
        " has_database_privilege(current_user, current_database(), 'create')",
    )
    if not may_create:
        raise MissingRightError(
            f"login {login!r} may not create schemas in database {database!r}; an administrator "
            f'must run: grant create on database "{database}" to "{login}"'
        )
    for role in ROLES:
        _ensure_role(conn, role, str(login))
    for grantee in dict.fromkeys([str(login), grant_to or str(login)]):
        for role in ROLES:
            _ensure_member(conn, role, grantee)


def _ensure_role(conn: psycopg.Connection[tuple[object, ...]], role: str, login: str) -> None:
    statement = sql.SQL("create role {} nologin").format(sql.Identifier(role))
    for _ in range(ATTEMPTS):
        if _one(conn, "select exists (select from pg_roles where rolname = %s)", role)[0]:
            return
        try:
            with conn.transaction():
                conn.execute(statement)
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue
        except psycopg.errors.InsufficientPrivilege as error:
            raise MissingRightError(
                f"login {login!r} lacks CREATEROLE and role {role!r} does not exist; an "
                f'administrator must run: alter role "{login}" createrole - or create the roles '
                f"{', '.join(ROLES)} (nologin) and grant them to {login!r}"
            ) from error
    raise RuntimeError(f"role {role!r} is made and dropped by another session all the time")


def _ensure_member(conn: psycopg.Connection[tuple[object, ...]], role: str, grantee: str) -> None:
    statement = sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(grantee))
    for _ in range(ATTEMPTS):
        if _is_member(conn, role, grantee):
            return
        try:
            with conn.transaction():
                conn.execute(statement)
        except (psycopg.errors.UniqueViolation, psycopg.errors.InternalError_):
            # Another session grants the same: "tuple concurrently updated" has no
            # better code than internal_error.
            continue
        except psycopg.errors.InsufficientPrivilege as error:
            raise MissingRightError(
                f"the current login may not grant role {role!r} to {grantee!r}; an "
                f'administrator must run: grant {role} to "{grantee}"'
            ) from error
    raise RuntimeError(f"role {role!r} could not be granted to {grantee!r}: others change it")


def _is_member(conn: psycopg.Connection[tuple[object, ...]], role: str, grantee: str) -> bool:
    """Whether the grantee inherits the role by a grant (a superuser needs none to use it).

    In PostgreSQL 16 the maker of a role is a member who may only administer it: such a
    membership does not count.
    """
    return bool(
        _one(
            conn,
            """
            select pg_has_role(m.rolname, r.oid, 'usage') and exists (
                select from pg_auth_members a where a.roleid = r.oid and a.member = m.oid
            )
            from pg_roles r, pg_roles m
            where r.rolname = %s and m.rolname = %s
            """,
            role,
            grantee,
        )[0]
    )


def _one(
    conn: psycopg.Connection[tuple[object, ...]], query: str, *params: str
) -> tuple[object, ...]:
    row = conn.execute(query.encode(), params).fetchone()
    if row is None:
        raise MissingRightError(f"the cluster has no login named {params[-1]!r}; create it first")
    return row
