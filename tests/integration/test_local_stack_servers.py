"""The data servers as real, supervised processes, in a stack of their own.

pytest's folders are mode 0700, so that as root this also shows that the servers' user gets
through to data that lies below folders closed to it.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import MySQLdb
import psycopg
import pytest
from psycopg import sql
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from local_stack import processes
from local_stack.layout import REPOSITORY, StackError
from local_stack.stack import SERVERS, Stack
from tests.conftest import mysql_arguments, with_database

SERVICES = list(SERVERS)
PATIENCE_SECONDS = 30


def make_stack(root: Path) -> Stack:
    return Stack(root, environment={}, say=lambda _: None)


def start(stack: Stack) -> None:
    stack.up(airflow=False, migrate=False)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = make_stack(tmp_path_factory.mktemp("servers") / "stack")
    made.layout.make()
    for service in SERVICES:  # an interrupted first start left these
        half = made.layout.data / f".{service}.new"
        half.mkdir()
        (half / "half").write_text("made")
    start(made)
    yield made
    made.clean()
    assert processes.find(made.layout.root) == []


def pids(stack: Stack) -> dict[str, int | None]:
    return {status.name: status.pid for status in stack.status() if status.name in SERVICES}


def answers(stack: Stack) -> dict[str, str | None]:
    return {service: SERVERS[service].check(stack.context) for service in SERVICES}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    before = pids(stack)
    assert all(before.values())
    start(stack)
    assert pids(stack) == before
    assert stack.is_up(SERVICES)


def test_two_ups_at_once_start_everything_once(stack: Stack) -> None:
    before = pids(stack)
    code = (
        "import sys; from pathlib import Path; from local_stack.stack import Stack; "
        "Stack(Path(sys.argv[1]), environment={}).up(airflow=False, migrate=False)"
    )
    command = [sys.executable, "-c", code, str(stack.layout.root)]
    running = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(2)]
    assert [process.wait(PATIENCE_SECONDS) for process in running] == [0, 0]
    assert pids(stack) == before


def test_files_with_secrets_are_private(stack: Stack) -> None:
    secrets = [secret.encode() for secret in stack.context.secrets.__dict__.values()]
    holding = []
    for path in stack.layout.root.rglob("*"):
        inside_data = path.parent.parent == stack.layout.data or path.parent.parent.parent in (
            stack.layout.data / service for service in SERVICES
        )
        if path.is_file() and not inside_data:
            content = path.read_bytes()
            if any(secret in content for secret in secrets):
                holding.append(path.name)
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert {"secrets.json", "mongo.key"} <= set(holding)
    assert not [name for name in holding if name.endswith(".log")]
    for service in SERVICES:
        assert stat.S_IMODE((stack.layout.data / service).stat().st_mode) == 0o700


def test_no_secret_on_a_running_command_line(stack: Stack) -> None:
    secrets = [secret.encode() for secret in stack.context.secrets.__dict__.values()]
    found = processes.find(stack.layout.root)
    assert {process.service for process in found} >= {*SERVICES, "supervisord"}
    for process in found:
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert not [secret for secret in secrets if secret in line], process


def test_servers_listen_on_loopback_only(stack: Stack) -> None:
    for service in SERVICES:
        port = f":{stack.context.ports[service]:04X}"
        hosts = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                values = line.split()
                if values[1].endswith(port) and values[3] == processes.TCP_LISTEN:
                    hosts.add(values[1].split(":")[0])
        assert hosts == {"0100007F"}, service  # 127.0.0.1


def test_servers_do_not_run_as_root(stack: Stack) -> None:
    for process in processes.find(stack.layout.root):
        if process.service in SERVICES:
            assert Path(f"/proc/{process.pid}").stat().st_uid != 0, process


def test_mariadb_keeps_its_temporary_tables_to_itself(stack: Stack) -> None:
    """In a shared /tmp, a server that starts deletes the temporary tables of the others."""
    with closing(MySQLdb.connect(**mysql_arguments(stack.urls()["MYSQL_URL"]))) as connection:
        cursor = connection.cursor()
        cursor.execute("select @@tmpdir")
        assert Path(cursor.fetchone()[0]).parent == stack.layout.data


def test_mariadb_opens_its_system_tables_below_a_private_folder(stack: Stack) -> None:
    """What only root may enter, as pytest's and mktemp's folders are, made it repair in vain."""
    assert any(f.stat().st_mode & 0o077 == 0 for f in stack.layout.root.parents)
    with closing(MySQLdb.connect(**mysql_arguments(stack.urls()["MYSQL_URL"]))) as connection:
        connection.query("create database passing")
        connection.query("drop database passing")
    assert "repair" not in stack.layout.log("mysql").read_text()


@pytest.mark.parametrize("password", ["", "wrong"])
def test_postgres_refuses(stack: Stack, password: str) -> None:
    secret = stack.context.secrets.postgres_admin
    for user in ("amato_admin", "amato", "airflow", "amato_mlflow", "postgres"):
        url = stack.urls()["WAREHOUSE_URL"].replace(f"amato_admin:{secret}", f"{user}:{password}")
        with pytest.raises(psycopg.OperationalError, match=r"password|authentication"):
            psycopg.connect(url)


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("user", ["amato_admin", "amato", "root", ""])
def test_mysql_refuses(stack: Stack, user: str, password: str) -> None:
    arguments = mysql_arguments(stack.urls()["MYSQL_URL"]) | {"user": user, "password": password}
    with pytest.raises(MySQLdb.OperationalError) as caught:
        MySQLdb.connect(**arguments)
    assert caught.value.args[0] == 1045


def test_mongo_refuses(stack: Stack) -> None:
    url = stack.urls()["MONGO_URL"]
    secret = stack.context.secrets.mongo_admin
    place = url.rpartition("@")[2]
    for bad in (url.replace(secret, "wrong"), f"mongodb://{place}"):
        with MongoClient(bad) as client, pytest.raises(OperationFailure):
            client["clickstream"].list_collection_names()
    with MongoClient(f"mongodb://{place}") as client, pytest.raises(OperationFailure):
        client.admin.command("createUser", "other", pwd="x", roles=["root"])


def test_airflows_login_has_no_more_than_it_needs(stack: Stack) -> None:
    environment = stack.airflow_env()
    warehouse = environment["AIRFLOW_CONN_WAREHOUSE"]
    with psycopg.connect(warehouse) as connection:
        rights = connection.execute(
            "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user"
        ).fetchone()
    assert rights == (False, False, False)
    for database in ("airflow", "mlflow"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(warehouse.replace("/warehouse", f"/{database}"))
    shop = MySQLdb.connect(**mysql_arguments(environment["AIRFLOW_CONN_MYSQL_SHOP"]))
    with pytest.raises(MySQLdb.OperationalError, match="denied"):
        shop.cursor().execute("select * from mysql.global_priv")
    shop.close()


def test_the_sources_logins_reach_no_files_and_so_not_the_truth(stack: Stack) -> None:
    truth = stack.layout.truth / "parameters.parquet"
    truth.write_text("truth")
    assert stat.S_IMODE(stack.layout.truth.stat().st_mode) == 0o700
    environment = stack.airflow_env()
    shop = MySQLdb.connect(**mysql_arguments(environment["AIRFLOW_CONN_MYSQL_SHOP"]))
    cursor = shop.cursor()
    cursor.execute("select load_file(%s)", (str(truth),))
    assert cursor.fetchone() == (None,)
    for statement in ("select 1 into outfile %s", "load data infile %s into table t"):
        with pytest.raises(MySQLdb.OperationalError, match=r"[Aa]ccess denied"):
            cursor.execute(statement, (str(truth),))
    shop.close()
    with psycopg.connect(environment["AIRFLOW_CONN_POSTGRES_MARKETING"]) as marketing:
        for statement in ("select pg_read_file({})", "copy (select 1) to {}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), marketing.transaction():
                marketing.execute(sql.SQL(statement).format(sql.Literal(str(truth))))
    # MongoDB reads no file for anybody but its administrators.
    with MongoClient(stack.urls()["MONGO_URL"]) as client:
        (user,) = client.admin.command("usersInfo", "amato")["users"]
    assert user["roles"] == [{"role": "readWrite", "db": "clickstream"}]
    assert truth.read_text() == "truth"


@pytest.mark.parametrize("field", ["postgres_admin", "mysql_admin", "mongo_admin"])
def test_secrets_of_another_stack_are_a_clear_error(stack: Stack, field: str) -> None:
    service = field.partition("_")[0]
    wrong = replace(stack.context.secrets, **{field: "of-another-stack"})
    with pytest.raises(StackError, match=r"secrets\.json.*make clean"):
        SERVERS[service].check(replace(stack.context, secrets=wrong))


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_server_comes_back(stack: Stack, service: str) -> None:
    victim = pids(stack)[service]
    assert victim
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: pids(stack)[service] not in (victim, None))
    wait_until(lambda: SERVERS[service].check(stack.context) is None)
    start(stack)
    assert stack.is_up(SERVICES)


def test_a_foreign_process_on_a_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        stack = make_stack(tmp_path / "stack")
        stack.layout.make()
        stack.layout.ports.write_text(f"POSTGRES={port}\n")
        with pytest.raises(StackError) as caught:
            start(stack)
    message = str(caught.value)
    assert f"port {port} of postgres" in message
    assert f"(pid {os.getpid()})" in message
    assert "\n" not in message
    assert processes.find(stack.layout.root) == []


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "stack")
    stack.layout.make()
    account = stack.context.account
    account.fresh_folder(stack.layout.data / "postgres")  # somebody emptied it
    stack.__dict__["data_services"] = ["postgres"]
    try:
        with pytest.raises(StackError) as caught:
            start(stack)
    finally:
        stack.down()
    assert "postgres did not start" in str(caught.value)
    assert "postgresql.conf" in str(caught.value)


def test_given_connections_are_used_and_their_sources_left_alone(
    stack: Stack, tmp_path: Path
) -> None:
    urls = stack.urls()
    with psycopg.connect(urls["WAREHOUSE_URL"], autocommit=True) as connection:
        connection.execute("create database given_warehouse")
    warehouse = with_database(urls["WAREHOUSE_URL"], "given_warehouse")
    given = {
        "AIRFLOW_CONN_MYSQL_SHOP": urls["MYSQL_URL"],
        "AIRFLOW_CONN_POSTGRES_MARKETING": urls["MARKETING_URL"],
        "AIRFLOW_CONN_MONGO_CLICKSTREAM": urls["MONGO_URL"].replace("mongodb:", "mongo:"),
        "AIRFLOW_CONN_WAREHOUSE": warehouse,
    }
    other = Stack(tmp_path / "stack", environment=given, say=lambda _: None)
    try:
        other.up(airflow=False, migrate=True)
        running = {process.service for process in processes.find(other.layout.root)}
        assert running == {"postgres", "supervisord"}
        assert other.urls()["WAREHOUSE_URL"] == warehouse
    finally:
        other.clean()
    tables = "select schemaname || '.' || tablename from pg_tables"
    with psycopg.connect(warehouse) as connection:
        names = {row[0] for row in connection.execute(tables)}
    assert {"elt.nights", "raw_mysql.customers", "raw_mongo.events"} <= names
    with psycopg.connect(urls["MARKETING_URL"]) as connection:
        assert "public.campaigns" not in {row[0] for row in connection.execute(tables)}
    with MongoClient(urls["MONGO_URL"]) as client:
        assert client["clickstream"].list_collection_names() == []
    shop = MySQLdb.connect(**mysql_arguments(urls["MYSQL_URL"]))
    cursor = shop.cursor()
    assert cursor.execute("show tables") == 0
    shop.close()


@pytest.mark.parametrize("wrong", ["port", "password"])
def test_a_given_warehouse_that_cannot_be_used_is_one_clear_line(
    stack: Stack, tmp_path: Path, wrong: str
) -> None:
    url, secret = stack.urls()["WAREHOUSE_URL"], stack.context.secrets.postgres_admin
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens on it
        if wrong == "port":
            port = closed.getsockname()[1]
            url = with_database(url, "given").replace(
                f":{stack.context.ports['postgres']}/", f":{port}/"
            )
            expected = f"warehouse at 127.0.0.1:{port}/given cannot be used: connection failed"
        else:
            url = url.replace(secret, secret := "not-the-password")
            expected = 'password authentication failed for user "amato_admin"'
        given = {
            "AIRFLOW_CONN_MYSQL_SHOP": stack.urls()["MYSQL_URL"],
            "AIRFLOW_CONN_MONGO_CLICKSTREAM": stack.urls()["MONGO_URL"],
            "AIRFLOW_CONN_WAREHOUSE": url,
        }
        other = Stack(tmp_path / "stack", environment=given, say=lambda _: None)
        try:
            with pytest.raises(StackError) as caught:
                other.up(airflow=False)
        finally:
            other.clean()
    message = str(caught.value)
    assert expected in message
    assert "correct AIRFLOW_CONN_WAREHOUSE" in message
    assert secret not in message
    assert "\n" not in message


def test_a_killed_supervisor_is_replaced_and_the_data_stay(stack: Stack) -> None:
    url = stack.urls()["WAREHOUSE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 1 as one")
    before = pids(stack)
    [supervisor] = processes.find(stack.layout.root, "supervisord")
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_alive(supervisor))
    assert {status.state for status in stack.status() if status.name in SERVICES} == {"orphaned"}
    start(stack)
    assert stack.is_up(SERVICES)
    assert not set(pids(stack).values()) & set(before.values())
    for service in SERVICES:
        main = {p.pid for p in processes.find(stack.layout.root, service)}
        assert not main & set(before.values())
    with psycopg.connect(url) as connection:
        assert connection.execute("select one from kept").fetchall() == [(1,)]


def test_down_after_the_supervisor_was_killed_leaves_nothing(stack: Stack) -> None:
    [supervisor] = processes.find(stack.layout.root, "supervisord")
    os.kill(supervisor.pid, signal.SIGKILL)
    stack.down()
    assert processes.find(stack.layout.root) == []
    stack.down()  # once more is no error


def test_down_and_up_on_other_ports_brings_everything_back(stack: Stack) -> None:
    stack.down()
    assert {status.state for status in stack.status()} == {"stopped"}
    old = dict(stack.context.ports)
    stack.layout.ports.unlink()
    held = []
    for service in SERVICES:  # so that other ports must be chosen
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", old[service]))
        holder.listen()
        held.append(holder)
    again = make_stack(stack.layout.root)
    try:
        assert again.context.ports
    finally:
        for holder in held:
            holder.close()
    start(again)
    assert not [service for service in SERVICES if again.context.ports[service] == old[service]]
    assert answers(again) == dict.fromkeys(SERVICES)
    with psycopg.connect(again.urls()["WAREHOUSE_URL"]) as connection:
        assert connection.execute("select one from kept").fetchall() == [(1,)]
