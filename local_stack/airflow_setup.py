"""Airflow's environment, metadata database, processes and pools."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from local_stack import processes
from local_stack.layout import REPOSITORY, Layout, StackError, write_private
from local_stack.service import Service, last_lines
from local_stack.settings import LOOPBACK, Secrets

USER = "admin"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
SERVICES = tuple(f"airflow-{component}" for component in COMPONENTS)
#: Keys of the health report; the api-server is the one that answers.
HEALTH = ("metadatabase", "scheduler", "triggerer", "dag_processor")
POOLS = {
    "mysql": "Tasks that read or write the shop",
    "mongo": "Tasks that read or write the clickstream",
    "warehouse": "Tasks that load the warehouse heavily",
}
POOL_SLOTS = 2
REQUEST_SECONDS = 10


def base_url(port: int) -> str:
    """Address of the UI and the API."""
    return f"http://{LOOPBACK}:{port}"


def settings(layout: Layout, secrets: Secrets, port: int, metadata_url: str) -> dict[str, str]:
    """Airflow's own settings, and what its tasks need to know of the platform."""
    metadata = metadata_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    return {
        "AIRFLOW_HOME": str(layout.airflow),
        "AMATO_HOME": str(layout.home),
        "PYTHONPATH": str(REPOSITORY),
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__FERNET_KEY": secrets.airflow_fernet,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.passwords_file),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url(port)}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__API__BASE_URL": base_url(port),
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__INSTANCE_NAME": "AMATO",
        "AIRFLOW__API__SECRET_KEY": secrets.airflow_api,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.airflow_jwt,
        # Most of a small task's time is the scheduler's idle sleep (default 1 s).
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }


def services(layout: Layout, environment: Mapping[str, str]) -> list[Service]:
    """Airflow's four processes.

    The tasks run below the scheduler: no other learns where the truth about the generated
    company is kept, least of all the server that shows files to users.
    """
    made = []
    for component in COMPONENTS:
        # Task and trigger logs are files on this machine: no need for log servers, which would
        # listen on every interface.
        options = ("--skip-serve-logs",) if component in ("scheduler", "triggerer") else ()
        argv = (sys.executable, "-m", "airflow", component, *options)
        # The scheduler ends when the api-server gives it a broken answer: keep trying.
        # Running tasks are not waited for when it stops: it would wait for hours.
        truth = {"AMATO_TRUTH": str(layout.truth)} if component == "scheduler" else {}
        service = Service(
            f"airflow-{component}",
            argv,
            {**environment, **truth},
            stop_seconds=15,
            start_retries=20,
        )
        made.append(service)
    return made


def write_passwords(layout: Layout, secrets: Secrets) -> None:
    """The file in which Airflow's simple auth manager looks passwords up."""
    wanted = json.dumps({USER: secrets.airflow_admin}) + "\n"
    if not layout.passwords_file.exists() or layout.passwords_file.read_text() != wanted:
        write_private(layout.passwords_file, wanted)


def migrate_metadata(layout: Layout, environment: Mapping[str, str]) -> bool:
    """Bring Airflow's metadata database to the installed version; False when it was there."""
    stamp = layout.airflow / "migrated"
    wanted = version("apache-airflow-core")
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    marks = {processes.ROOT_MARK: str(layout.root), processes.SERVICE_MARK: "airflow-migrate"}
    result = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**os.environ, **environment, **marks},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise StackError(f"`airflow db migrate` failed:\n{last_lines(result)}")
    write_private(stamp, wanted)
    return True


def check(port: int, since: datetime | None) -> str | None:
    """None when every component reports itself healthy, else which do not (yet).

    `since` (UTC): heartbeats before it were those of earlier processes and do not count.
    """
    try:
        answer = requests.get(f"{base_url(port)}/api/v2/monitor/health", timeout=REQUEST_SECONDS)
        answer.raise_for_status()
        report = answer.json()
    except requests.RequestException as error:
        return f"api-server: {type(error).__name__}"
    waiting = [name for name in HEALTH if not _is_healthy(name, report.get(name) or {}, since)]
    return f"waiting for {', '.join(waiting)}" if waiting else None


def _is_healthy(name: str, part: Mapping[str, Any], since: datetime | None) -> bool:
    if part.get("status") != "healthy":
        return False
    heartbeat = part.get(f"latest_{name}_heartbeat")
    if since is None or heartbeat is None:
        return True
    return datetime.fromisoformat(heartbeat) >= since


def create_pools(port: int, password: str) -> None:
    """Create the pools that are missing; those that exist keep what a user set."""
    with requests.Session() as session:
        token = session.post(
            f"{base_url(port)}/auth/token",
            json={"username": USER, "password": password},
            timeout=REQUEST_SECONDS,
        )
        if token.status_code == requests.codes.unauthorized:
            raise StackError(
                f"Airflow refuses the password of its user {USER}: restart it with "
                "`make down` and `make up`"
            )
        token.raise_for_status()
        session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        pools = f"{base_url(port)}/api/v2/pools"
        known = session.get(pools, timeout=REQUEST_SECONDS, params={"limit": 100})
        known.raise_for_status()
        names = {pool["name"] for pool in known.json()["pools"]}
        for name in POOLS.keys() - names:
            body = {"name": name, "slots": POOL_SLOTS, "description": POOLS[name]}
            session.post(pools, json=body, timeout=REQUEST_SECONDS).raise_for_status()


def log_folder(layout: Layout) -> Path:
    """Where Airflow writes task logs."""
    return layout.airflow / "logs"
