"""MLflow kept in step with the registry of models: a real server, read back in its own tables."""

import hashlib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from psycopg.conninfo import conninfo_to_dict

from local_stack import mlflow_setup
from local_stack.layout import REPOSITORY, Layout
from local_stack.settings import choose_port
from ml import registry, tracking
from ml.metrics import Metric
from ml.mlflow_api import MlflowApi, TrackingError, TrackingUnreachableError
from ml.registry import ModelVersion
from ml.tracking import sync
from tests.conftest import Servers, _fresh_postgres, fresh_warehouse
from tests.integration.ml_support import scientist

FIRST, SECOND = date(2026, 1, 5), date(2026, 1, 12)
READY_SECONDS = 120
FAMILY = "forecasting"
PASSWORD = secrets.token_urlsafe(16)
LOGIN = (mlflow_setup.USER, PASSWORD)


@dataclass(frozen=True)
class Mlflow:
    """A running server: its address, its database (full rights) and its AMATO_HOME."""

    uri: str
    store: str
    home: Path
    pid: int
    log: Path

    def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.store) as conn:
            return conn.execute(query.encode(), params).fetchall()

    def runs(self, model: str) -> list[tuple[Any, ...]]:
        """Version and id of a model's living runs."""
        return self.rows(
            "select v.value, r.run_uuid from runs as r"
            " join tags as m on m.run_uuid = r.run_uuid and m.key = 'amato.model'"
            " join tags as v on v.run_uuid = r.run_uuid and v.key = 'amato.version'"
            " where m.value = %s and r.lifecycle_stage = 'active' order by 1, 2",
            model,
        )

    def versions(self, model: str) -> list[tuple[Any, ...]]:
        """Number, our version, and run of a registered model's versions."""
        return self.rows(
            "select v.version, t.value, v.run_id from model_versions as v"
            " join model_version_tags as t on t.name = v.name and t.version = v.version"
            " and t.key = 'amato.version'"
            " where v.name = %s and v.current_stage <> 'Deleted_Internal' order by 1",
            model,
        )

    def champion(self, model: str) -> str | None:
        """Our version that the alias points to."""
        found = self.rows(
            "select t.value from registered_model_aliases as a join model_version_tags as t"
            " on t.name = a.name and t.version = a.version and t.key = 'amato.version'"
            " where a.name = %s and a.alias = 'champion'",
            model,
        )
        return found[0][0] if found else None

    def checksum(self) -> str:
        """SHA-256 of everything in the store."""
        digest = hashlib.sha256()
        tables = "select tablename from pg_tables where schemaname = 'public' order by 1"
        for (table,) in self.rows(tables):
            for (row,) in self.rows(f'select t::text from "{table}" as t order by 1'):
                digest.update(f"{table} {row}\n".encode())
        return digest.hexdigest()


@pytest.fixture(scope="module")
def mlflow(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A server as the platform starts it, on an empty store."""
    layout = Layout(tmp_path_factory.mktemp("mlflow"))
    port = choose_port(os.getpid(), set())
    log = layout.root / "log"
    with contextmanager(_fresh_postgres)(servers.warehouse_url, "mlflow") as store:
        service = mlflow_setup.service(layout, port, store, PASSWORD)
        environment = {**os.environ, **service.environment}
        with log.open("w") as output:
            server = subprocess.Popen(
                service.argv, cwd=REPOSITORY, env=environment, stdout=output, stderr=output
            )
        try:
            deadline = time.monotonic() + READY_SECONDS
            while mlflow_setup.check(port) is not None:
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield Mlflow(mlflow_setup.base_url(port), store, layout.home, server.pid, log)
        finally:
            server.terminate()
            server.wait()


@pytest.fixture(scope="module")
def module_warehouse(servers: Servers) -> Iterator[str]:
    yield from fresh_warehouse(servers)


@pytest.fixture
def conn(module_warehouse: str) -> Iterator[psycopg.Connection]:
    """The warehouse, its registry of models empty."""
    with scientist(module_warehouse) as connection:
        connection.execute("truncate ml.model_versions, ml.model_metrics, ml.model_runs")
        connection.commit()
        yield connection


def add(
    conn: psycopg.Connection,
    home: Path,
    model: str,
    name: str,
    as_of: date = FIRST,
    kind: str = "model",
    family: str = FAMILY,
) -> ModelVersion:
    """Train a version, so far as the registry and the artefacts can tell."""
    artefact = Path("artefacts") / family / f"{model}-{name}.zip"
    (home / artefact).parent.mkdir(parents=True, exist_ok=True)
    (home / artefact).write_bytes(f"{model} {name}".encode())
    version = ModelVersion(
        model=model,
        version=name,
        family=family,
        as_of=as_of,
        artefact=artefact.as_posix(),
        sha256=hashlib.sha256(f"{model} {name}".encode()).hexdigest(),
        params={"kind": kind, "trained_until": "2025-10-05", "levels": [0.8, 0.95]},
        features=("recency_days", "frequency"),
        data_fingerprint="cd" * 32,
        trained_rows=640,
        code_commit="ef" * 20,
    )
    figures = [Metric("mase_30", 0.8, 0.7, 0.9, "seasonal_naive", 1.0), Metric("trees", 120.0)]
    with conn.transaction():
        registry.save_version(conn, version, figures)
        registry.record_run(conn, "train", model, name, as_of, "success", 640, 12.5, "it is better")
    return version


def promote(conn: psycopg.Connection, model: str, name: str, as_of: date = FIRST) -> None:
    with conn.transaction():
        registry.promote(conn, model, name, as_of)


def points(mlflow: Mlflow, run: str) -> set[tuple[str, float, int]]:
    return set(mlflow.rows("select key, value, step from metrics where run_uuid = %s", run))


TRAINED_POINTS = {
    ("mase_30", 0.8, 0),
    ("mase_30_low", 0.7, 0),
    ("mase_30_high", 0.9, 0),
    ("mase_30_baseline", 1.0, 0),
    ("trees", 120.0, 0),
}


def test_mlflow_holds_what_the_warehouse_holds(mlflow: Mlflow, conn: psycopg.Connection) -> None:
    add(conn, mlflow.home, "revenue", "b-baseline", kind="baseline")
    version = add(conn, mlflow.home, "revenue", "a")
    add(conn, mlflow.home, "kmeans", "k", family="customer_segmentation")
    promote(conn, "revenue", "b-baseline")
    result = sync(conn, mlflow.uri, mlflow.home, LOGIN)
    assert (result.runs_made, result.versions_made, result.champions_changed) == (3, 3, 1)

    experiments = mlflow.rows(
        "select e.name, count(*) from experiments as e join runs as r using (experiment_id)"
        " group by 1 order by 1"
    )
    assert experiments == [("customer_segmentation", 1), ("forecasting", 2)]
    kind = "select distinct value from experiment_tags where key = 'mlflow.experimentKind'"
    assert mlflow.rows(kind) == [("custom_model_development",)]
    # The baseline came first, whatever the names.
    assert [row[:2] for row in mlflow.versions("revenue")] == [(1, "b-baseline"), (2, "a")]
    assert mlflow.champion("revenue") == "b-baseline"
    assert mlflow.champion("kmeans") is None

    run = dict(mlflow.runs("revenue"))["a"]
    assert mlflow.versions("revenue")[1][2] == run
    assert points(mlflow, run) == TRAINED_POINTS
    params = dict(mlflow.rows("select key, value from params where run_uuid = %s", run))
    assert params == {
        "kind": "model",
        "trained_until": "2025-10-05",
        "levels": "[0.8, 0.95]",
        "trained_rows": "640",
    }
    tags = dict(mlflow.rows("select key, value from tags where run_uuid = %s", run))
    assert tags["data_fingerprint"] == "cd" * 32
    assert tags["git_commit"] == "ef" * 20
    assert tags["artefact_sha256"] == version.sha256
    assert tags["mlflow.note.content"] == "it is better"
    status = "select status, end_time - start_time from runs where run_uuid = %s"
    assert mlflow.rows(status, run) == [("FINISHED", 12500)]
    query = {"run_id": run, "path": "revenue-a.zip"}
    artefact = requests.get(f"{mlflow.uri}/get-artifact", query, auth=LOGIN, timeout=30)
    assert artefact.content == b"revenue a"
    assert list((mlflow.home / "mlflow").rglob("revenue-a.zip"))


def test_a_second_sync_changes_nothing(mlflow: Mlflow, conn: psycopg.Connection) -> None:
    add(conn, mlflow.home, "again", "a")
    promote(conn, "again", "a")
    assert sync(conn, mlflow.uri, mlflow.home, LOGIN).changed
    before = mlflow.checksum()
    assert not sync(conn, mlflow.uri, mlflow.home, LOGIN).changed
    assert mlflow.checksum() == before


def test_the_alias_follows_the_champion(mlflow: Mlflow, conn: psycopg.Connection) -> None:
    add(conn, mlflow.home, "follows", "a")
    promote(conn, "follows", "a")
    sync(conn, mlflow.uri, mlflow.home, LOGIN)
    add(conn, mlflow.home, "follows", "b", SECOND)
    assert sync(conn, mlflow.uri, mlflow.home, LOGIN).champions_changed == 0
    assert mlflow.champion("follows") == "a"
    promote(conn, "follows", "b", SECOND)
    assert sync(conn, mlflow.uri, mlflow.home, LOGIN).champions_changed == 1
    assert mlflow.champion("follows") == "b"
    conn.execute("update ml.model_versions set is_champion = false")
    conn.commit()
    sync(conn, mlflow.uri, mlflow.home, LOGIN)
    assert mlflow.champion("follows") is None


def test_a_look_back_adds_to_the_run_it_judges(mlflow: Mlflow, conn: psycopg.Connection) -> None:
    add(conn, mlflow.home, "looks", "a")
    sync(conn, mlflow.uri, mlflow.home, LOGIN)
    [(_, run)] = mlflow.runs("looks")
    with conn.transaction():
        registry.save_metrics(conn, "looks", "a", SECOND, [Metric("outcome_mase", 1.1, 1.0, 1.2)])
    result = sync(conn, mlflow.uri, mlflow.home, LOGIN)
    assert (result.runs_made, result.runs_changed) == (0, 1)
    assert mlflow.runs("looks") == [("a", run)]
    later = {("outcome_mase", 1.1, 7), ("outcome_mase_low", 1.0, 7), ("outcome_mase_high", 1.2, 7)}
    assert points(mlflow, run) == TRAINED_POINTS | later


@pytest.mark.parametrize("change", ["params", "figures", "removed"])
def test_what_mlflow_cannot_unlearn_is_made_anew(
    mlflow: Mlflow, conn: psycopg.Connection, change: str
) -> None:
    model = f"anew_{change}"
    version = add(conn, mlflow.home, model, "a")
    promote(conn, model, "a")
    sync(conn, mlflow.uri, mlflow.home, LOGIN)
    [(_, before)] = mlflow.runs(model)
    figures = [Metric("mase_30", 0.5)]
    with conn.transaction():
        if change == "params":
            params = {**version.params, "levels": [0.5]}
            registry.save_version(conn, replace(version, params=params), figures)
        elif change == "figures":
            registry.save_metrics(conn, model, "a", FIRST, figures)
        else:
            conn.execute("delete from ml.model_versions where model = %s", (model,))
            add(conn, mlflow.home, model, "b")
    result = sync(conn, mlflow.uri, mlflow.home, LOGIN)
    assert (result.runs_made, result.runs_removed) == (1, 1)
    [(name, run)] = mlflow.runs(model)
    assert run != before
    assert [row[1:] for row in mlflow.versions(model)] == [(name, run)]
    expected = {("mase_30", 0.5, 0)} if change != "removed" else TRAINED_POINTS
    assert points(mlflow, run) == expected
    assert mlflow.champion(model) == ("a" if change != "removed" else None)
    assert not sync(conn, mlflow.uri, mlflow.home, LOGIN).changed


@pytest.mark.parametrize("path", ["runs/delete", "experiments/delete", "runs/set-tag"])
def test_what_somebody_changes_in_mlflow_is_put_right(
    mlflow: Mlflow, conn: psycopg.Connection, path: str
) -> None:
    model = f"hand_{path.replace('/', '_').replace('-', '_')}"
    add(conn, mlflow.home, model, "a", family=model)
    sync(conn, mlflow.uri, mlflow.home, LOGIN)
    [(_, run)] = mlflow.runs(model)
    [(experiment,)] = mlflow.rows("select experiment_id from experiments where name = %s", model)
    body = {
        "runs/delete": {"run_id": run},
        "experiments/delete": {"experiment_id": str(experiment)},
        "runs/set-tag": {"run_id": run, "key": "git_commit", "value": "another"},
    }[path]
    address = f"{mlflow.uri}/api/2.0/mlflow/{path}"
    assert requests.post(address, json=body, auth=LOGIN, timeout=30).ok
    sync(conn, mlflow.uri, mlflow.home, LOGIN)
    [(name, run)] = mlflow.runs(model)
    assert [row[1:] for row in mlflow.versions(model)] == [(name, run)]
    tags = dict(mlflow.rows("select key, value from tags where run_uuid = %s", run))
    assert tags["git_commit"] == "ef" * 20
    assert not sync(conn, mlflow.uri, mlflow.home, LOGIN).changed


class Killed(BaseException):
    """The process ended here."""


def test_a_sync_that_was_killed_anywhere_is_finished_by_the_next(
    mlflow: Mlflow, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = MlflowApi._send
    for survived in range(1, 40):
        conn.execute("truncate ml.model_versions, ml.model_metrics, ml.model_runs")
        conn.commit()
        model = f"killed_{survived}"
        add(conn, mlflow.home, model, "a", family=model)
        promote(conn, model, "a")
        sent = 0

        def dying(api: MlflowApi, *arguments: Any, **values: Any) -> requests.Response:
            nonlocal sent
            answer = send(api, *arguments, **values)
            method, path = arguments
            sent += method != "GET" and not path.endswith("search")
            if sent == survived:  # noqa: B023
                raise Killed  # the request was done, its answer is lost
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(MlflowApi, "_send", dying)
            try:
                sync(conn, mlflow.uri, mlflow.home, LOGIN)
            except Killed:
                finished = False
            else:
                finished = True
        sync(conn, mlflow.uri, mlflow.home, LOGIN)
        [(name, run)] = mlflow.runs(model)
        assert [row[1:] for row in mlflow.versions(model)] == [(name, run)], survived
        assert points(mlflow, run) == TRAINED_POINTS, survived
        assert mlflow.champion(model) == "a", survived
        if finished:
            break
    assert finished and survived > 10
    assert not sync(conn, mlflow.uri, mlflow.home, LOGIN).changed


def test_two_syncs_at_once_record_everything_once(
    mlflow: Mlflow, conn: psycopg.Connection, module_warehouse: str
) -> None:
    names = ["a", "b", "c"]
    for name in names:
        add(conn, mlflow.home, "twice", name)
    promote(conn, "twice", "b")

    def one(_: int) -> tracking.SyncResult:
        with scientist(module_warehouse) as connection:
            return sync(connection, mlflow.uri, mlflow.home, LOGIN)

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(one, range(2)), key=lambda result: result.runs_made)
    assert [result.runs_made for result in results] == [0, 3]
    assert [name for name, _ in mlflow.runs("twice")] == names
    assert [row[1] for row in mlflow.versions("twice")] == names
    assert mlflow.champion("twice") == "b"


def test_a_lost_artefact_is_said_and_stops_nothing(
    mlflow: Mlflow, conn: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    version = add(conn, mlflow.home, "lost", "a")
    (mlflow.home / version.artefact).unlink()
    assert sync(conn, mlflow.uri, mlflow.home, LOGIN).runs_made == 1
    assert f"{version.artefact} is missing or damaged" in caplog.text
    assert not list((mlflow.home / "mlflow").rglob("lost-a.zip"))


def test_without_mlflow_the_error_names_the_remedy_and_the_registry_stays(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    add(conn, tmp_path, "kept", "a")
    promote(conn, "kept", "a")
    port = choose_port(os.getpid(), set())
    with pytest.raises(TrackingUnreachableError, match=r"does not answer.*`make up`") as caught:
        sync(conn, f"http://127.0.0.1:{port}", tmp_path)
    assert isinstance(caught.value, ConnectionError)  # Airflow tries it again
    assert registry.champion_version(conn, "kept") == "a"


def test_the_server_is_for_this_machine_and_keeps_its_password(
    mlflow: Mlflow, servers: Servers
) -> None:
    port = mlflow.uri.rpartition(":")[2]
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{int(port):04X}")
    ]
    assert listening == [f"0100007F:{int(port):04X}"]
    search = f"{mlflow.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    assert requests.get(search, auth=LOGIN, timeout=30).ok
    for login in (None, (mlflow_setup.USER, "wrong"), ("other", PASSWORD)):
        assert requests.get(search, auth=login, timeout=30).status_code == 401
    foreign = requests.get(search, headers={"Host": "evil.example"}, auth=LOGIN, timeout=30)
    assert foreign.status_code == 403
    # It would run commands on this machine.
    assistant = f"{mlflow.uri}/ajax-api/3.0/mlflow/assistant/config"
    assert requests.get(assistant, auth=LOGIN, timeout=30).status_code == 404
    command = Path(f"/proc/{mlflow.pid}/cmdline").read_bytes().decode()
    store_password = conninfo_to_dict(mlflow.store)["password"]
    assert "local_stack.mlflow_serve" in command
    for secret in (str(store_password), PASSWORD):
        assert secret not in command
        assert secret not in mlflow.log.read_text()


def test_a_wrong_password_is_no_lost_connection(mlflow: Mlflow, conn: psycopg.Connection) -> None:
    add(conn, mlflow.home, "locked", "a")
    with pytest.raises(TrackingError, match=r"refused.*\(401\)") as caught:
        sync(conn, mlflow.uri, mlflow.home, (mlflow_setup.USER, "wrong"))
    assert not isinstance(caught.value, ConnectionError)
    assert mlflow.runs("locked") == []
