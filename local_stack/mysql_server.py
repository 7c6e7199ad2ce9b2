"""The local MySQL-compatible server (MariaDB): the shop, a source."""

from contextlib import closing
from pathlib import Path

import MySQLdb

from local_stack.layout import StackError
from local_stack.service import Context, Service, find_binary
from local_stack.settings import LOOPBACK

NAME = "mysql"
ADMIN = "amato_admin"
LOGIN = "amato"
DATABASE = "shop"
ACCESS_DENIED = 1045
SBIN = (Path("/usr/sbin"), Path("/usr/bin"))


def initialise(context: Context) -> None:
    """Make the data folder unless it is there. An interrupted attempt is begun again.

    The users are made before the server first listens: it is never open to anyone.
    """
    if not _temporary(context).exists():
        context.account.fresh_folder(_temporary(context))
    folder = context.layout.data / NAME
    if folder.exists():
        return
    made = context.account.fresh_folder(context.layout.data / f".{NAME}.new")
    context.account.run(
        (
            find_binary("mariadb-install-db", SBIN, "mariadb-server-core"),
            "--no-defaults",
            f"--datadir={made}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ),
        "making MariaDB's data folder",
    )
    # One statement a line: that is how the bootstrap mode reads its input. The passwords are
    # token_urlsafe, so they need no quoting.
    statements = (
        "delete from mysql.global_priv where User <> 'mariadb.sys';",
        "delete from mysql.db;",
        "flush privileges;",
        f"create user {ADMIN}@'%' identified by '{context.secrets.mysql_admin}';",
        f"grant all privileges on *.* to {ADMIN}@'%' with grant option;",
        f"create database {DATABASE} character set utf8mb4;",
        f"create user {LOGIN}@'%' identified by '{context.secrets.mysql_amato}';",
        f"grant all privileges on {DATABASE}.* to {LOGIN}@'%';",
    )
    context.account.run(
        (_binary(), "--no-defaults", "--bootstrap", f"--datadir={made}"),
        "creating MariaDB's users",
        stdin="\n".join(statements) + "\n",
    )
    made.rename(folder)


def _temporary(context: Context) -> Path:
    """A folder for temporary tables: in /tmp, a server that starts deletes those of another."""
    return context.layout.data / f"{NAME}-tmp"


def _binary() -> str:
    return find_binary("mariadbd", SBIN, "mariadb-server-core")


def service(context: Context) -> Service:
    """The server process."""
    argv = (
        _binary(),
        "--no-defaults",
        f"--datadir={context.layout.data / NAME}",
        f"--tmpdir={_temporary(context)}",
        f"--bind-address={LOOPBACK}",
        f"--port={context.ports[NAME]}",
        "--socket=",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        "--default-time-zone=+00:00",
        "--max-allowed-packet=64M",
        "--innodb-buffer-pool-size=512M",
        # The generated company is loaded so. Which files, is the client's to say, not the server's.
        "--local-infile=1",
    )
    return Service(NAME, context.account.wrap(argv), {}, stop_seconds=60)


def url(context: Context, login: str = ADMIN) -> str:
    """URL of the shop for one of the server's users."""
    password = {ADMIN: context.secrets.mysql_admin, LOGIN: context.secrets.mysql_amato}[login]
    return f"mysql://{login}:{password}@{LOOPBACK}:{context.ports[NAME]}/{DATABASE}"


def check(context: Context) -> str | None:
    """None when the server answers its administrator, else why it does not (yet)."""
    try:
        connection = MySQLdb.connect(
            host=LOOPBACK,
            port=context.ports[NAME],
            user=ADMIN,
            password=context.secrets.mysql_admin,
            database=DATABASE,
            connect_timeout=5,
        )
    except MySQLdb.OperationalError as error:
        if error.args[0] == ACCESS_DENIED:
            raise StackError(
                f"MariaDB refuses the password in {context.layout.secrets}: it was made for "
                "other data; put the right file back, or start afresh with `make clean`"
            ) from error
        return str(error)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("select 1")
    return None


def provision(context: Context) -> None:
    """Nothing: users and database are made with the data folder."""
