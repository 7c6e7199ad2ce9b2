"""The local PostgreSQL server: marketing (a source), the warehouse, Airflow's metadata, MLflow."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from local_stack.layout import StackError, write_private
from local_stack.service import Context, Service, find_binary
from local_stack.settings import LOOPBACK

NAME = "postgres"
ADMIN = "amato_admin"
LOGIN = "amato"
AIRFLOW_LOGIN = "airflow"
MLFLOW_LOGIN = "amato_mlflow"
MINIMUM_VERSION = 15
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    # No replica follows this server: what fills a new table is synced at commit, and needs no log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def _binary(name: str) -> str:
    def version(folder: Path) -> float:
        return float(folder.parent.name)

    folders = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if version(folder) >= MINIMUM_VERSION
    ]
    return find_binary(name, sorted(folders, key=version, reverse=True), "postgresql-15")


def initialise(context: Context) -> None:
    """Make the data folder unless it is there. An interrupted attempt is begun again."""
    folder = context.layout.data / NAME
    if folder.exists():
        return
    made = context.account.fresh_folder(context.layout.data / f".{NAME}.new")
    password = context.layout.data / f".{NAME}.password"
    write_private(password, context.secrets.postgres_admin)
    context.account.own(password)
    try:
        context.account.run(
            (
                _binary("initdb"),
                f"--pgdata={made}",
                f"--username={ADMIN}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ),
            "making PostgreSQL's data folder",
        )
    finally:
        password.unlink()
    made.rename(folder)


def service(context: Context) -> Service:
    """The server process."""
    settings = {**SETTINGS, "port": str(context.ports[NAME])}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    argv = (_binary("postgres"), "-D", str(context.layout.data / NAME), *options)
    # SIGINT is the fast shutdown. The group is left alone: the postmaster ends its children.
    return Service(NAME, context.account.wrap(argv), {}, stop_signal="INT", stop_group=False)


def url(context: Context, database: str, login: str = ADMIN) -> str:
    """URL of one of the server's databases for one of its logins."""
    password = {
        ADMIN: context.secrets.postgres_admin,
        LOGIN: context.secrets.postgres_amato,
        AIRFLOW_LOGIN: context.secrets.postgres_airflow,
        MLFLOW_LOGIN: context.secrets.postgres_mlflow,
    }[login]
    return f"postgresql://{login}:{password}@{LOOPBACK}:{context.ports[NAME]}/{database}"


def check(context: Context) -> str | None:
    """None when the server answers its administrator, else why it does not (yet)."""
    try:
        with psycopg.connect(url(context, "postgres"), connect_timeout=5) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise StackError(
                f"PostgreSQL refuses the password in {context.layout.secrets}: it was made for "
                "other data; put the right file back, or start afresh with `make clean`"
            ) from error
        return str(error).strip()
    return None


def provision(context: Context) -> None:
    """Create the logins and databases that are missing."""
    logins = {
        LOGIN: context.secrets.postgres_amato,
        AIRFLOW_LOGIN: context.secrets.postgres_airflow,
        MLFLOW_LOGIN: context.secrets.postgres_mlflow,
    }
    owners = {
        "warehouse": ADMIN,
        "marketing": LOGIN,
        "airflow": AIRFLOW_LOGIN,
        "mlflow": MLFLOW_LOGIN,
    }
    with psycopg.connect(url(context, "postgres"), autocommit=True) as connection:
        add_logins(connection, logins)
        add_databases(connection, owners)
        # Airflow's metadata is Airflow's alone, and MLflow's store MLflow's.
        connection.execute("revoke all on database airflow, mlflow from public")


def add_logins(connection: psycopg.Connection, logins: Mapping[str, str]) -> None:
    """Create the logins that are missing, by name with their passwords."""
    roles = {row[0] for row in connection.execute("select rolname from pg_roles")}
    for login in logins.keys() - roles:
        # Hashed here, so that no statement (and no log of it) holds the password.
        hashed = connection.pgconn.encrypt_password(
            logins[login].encode(), login.encode(), b"scram-sha-256"
        )
        statement = sql.SQL("create role {} login password {}")
        connection.execute(statement.format(sql.Identifier(login), sql.Literal(hashed.decode())))


def add_databases(connection: psycopg.Connection, owners: Mapping[str, str]) -> None:
    """Create the databases that are missing, by name with their owners."""
    databases = {row[0] for row in connection.execute("select datname from pg_database")}
    for database in owners.keys() - databases:
        names = sql.Identifier(database), sql.Identifier(owners[database])
        connection.execute(sql.SQL("create database {} owner {}").format(*names))


def version() -> str:
    """Version text of the server binary."""
    command = [_binary("postgres"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
