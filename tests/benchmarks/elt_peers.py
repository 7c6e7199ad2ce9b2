"""Other tools that move tables, installed into environments of their own under .local/bench."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.benchmarks.measure import REPOSITORY

FOLDER = REPOSITORY / ".local" / "bench" / "peers"
PACKAGES = {
    "dlt": [
        *("dlt[postgres]", "pyarrow", "sqlalchemy", "pymysql", "mysqlclient", "pymongo"),
        "connectorx",
    ],
    # Later ones fetch their program from a code host, which not every network reaches.
    "ingestr": ["ingestr==0.15.9"],
    "sling": ["sling==1.2.15"],
}
KEYS = {"transaction_items": ("row_id", "updated_at"), "page_views": ("_id", "created_at")}

# As dlt's documentation has it: merge by key, incremental by cursor.
DLT = """
import sys, os, dlt
from urllib.parse import urlsplit
backend, table, key, cursor, source, destination = sys.argv[1:]
def views():
    import pymongo
    client = pymongo.MongoClient(source)
    incremental = dlt.current.resource_state().get("last")
    query = {cursor: {"$gte": incremental}} if incremental else {}
    last = incremental
    chunk = []
    for document in client.get_default_database()[table].find(query):
        document["_id"] = str(document["_id"])
        last = max(last or document[cursor], document[cursor])
        chunk.append(document)
        if len(chunk) == 10_000:
            yield chunk
            chunk = []
    yield chunk
    dlt.current.resource_state()["last"] = last
if source.startswith("mysql"):
    from dlt.sources.sql_database import sql_table
    data = sql_table(
        source, table=table, backend=backend,
        incremental=dlt.sources.incremental(cursor),
    )
else:
    data = dlt.resource(views, name=table)
pipeline = dlt.pipeline(
    "amato_" + backend + "_" + table, dataset_name="bench_dlt_" + backend,
    destination=dlt.destinations.postgres(destination),
    pipelines_dir=os.environ["DLT_DATA_DIR"],
)
print(pipeline.run(data, write_disposition="merge", primary_key=key))
"""


def install(name: str) -> Path:
    """Install a peer once; returns its ``bin`` folder.

    Raises:
        subprocess.CalledProcessError: the package index does not give it.
    """
    environment = FOLDER / name
    if not (environment / ".complete").exists():
        uv = shutil.which("uv") or str(REPOSITORY / ".local" / "tools" / "uv" / "bin" / "uv")
        python = str(environment / "bin" / "python")
        shutil.rmtree(environment, ignore_errors=True)
        for command in (
            [uv, "venv", "--quiet", "--python", "3.11", str(environment)],
            [uv, "pip", "install", "--quiet", "--python", python, *PACKAGES[name]],
        ):
            subprocess.run(command, check=True)
        (environment / ".complete").touch()
    return environment / "bin"


def dlt_command(table: str, source: str, warehouse: str, backend: str) -> list[str]:
    """Load a table with dlt."""
    if source.startswith("mysql"):
        source = source.replace("mysql://", "mysql+mysqldb://", 1)
    python = str(install("dlt") / "python")
    return [python, "-c", DLT, backend, table, *KEYS[table], source, warehouse]


def ingestr_command(
    table: str, source: str, warehouse: str, interval: Sequence[date] = ()
) -> list[str]:
    """Load a table with ingestr, with the interval handed to it or not."""
    key, cursor = KEYS[table]
    command = [
        *(str(install("ingestr") / "ingestr"), "ingest", "--yes", "--progress", "log"),
        *("--source-uri", source.replace("mysql://", "mysql+pymysql://", 1)),
        *("--source-table", f"{_database(source)}.{table}"),
        *("--dest-uri", warehouse, "--dest-table", f"bench_ingestr.{table}"),
        *("--incremental-strategy", "merge", "--incremental-key", cursor, "--primary-key", key),
    ]
    if interval:
        start, end = (f"{day.isoformat()}T00:00:00Z" for day in interval)
        command += ["--interval-start", start, "--interval-end", end]
    return command


def sling_command(table: str, source: str, warehouse: str) -> list[str]:
    """Load a table with sling."""
    key, cursor = KEYS[table]
    return [
        *(str(install("sling") / "sling"), "run"),
        *("--src-conn", source, "--src-stream", f"{_database(source)}.{table}"),
        *("--tgt-conn", f"{warehouse}?sslmode=disable", "--tgt-object", f"bench_sling.{table}"),
        *("--mode", "incremental", "--primary-key", key, "--update-key", cursor),
    ]


def environment() -> dict[str, str]:
    """Without telemetry, and with state of their own."""
    home = FOLDER / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "DLT_DATA_DIR": str(home / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "INGESTR_DISABLE_TELEMETRY": "true",
        "SLING_DISABLE_TELEMETRY": "true",
        "PATH": os.environ["PATH"],
    }


def forget() -> None:
    """Remove the state that the peers keep between loads."""
    shutil.rmtree(FOLDER / "home", ignore_errors=True)


def _database(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
