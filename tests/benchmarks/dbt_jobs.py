"""What the benchmark of dbt runs as a process of its own.

``python -m tests.benchmarks.dbt_jobs build NIGHT HOME`` builds the layers as the DAG does and
tells of each of them; ``bare HOME`` runs the queries of the last build one after the other. The
warehouse's address is in WAREHOUSE_URL.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import date
from pathlib import Path

import psycopg

from dags.stages.dbt_build import LAYERS, PG_OPTIONS, build_layer

OPTIONS = f"-c role=amato_transformer {PG_OPTIONS}"


def build(night: date, home: Path) -> None:
    """Build all layers; prints a line of JSON for each."""
    for layer in LAYERS:
        begun = time.perf_counter()
        results = build_layer(layer, night, home, os.environ["WAREHOUSE_URL"])
        told = {
            "layer": layer,
            "seconds": time.perf_counter() - begun,
            "nodes": [(r.resource_type, r.name, r.seconds, r.rows) for r in results],
        }
        print(json.dumps(told), flush=True)


def bare(home: Path) -> None:
    """Run each model's query as ``create table as`` and each test's as a count; prints the sums."""
    (manifest,) = (home / "dbt" / "parsed").glob("*/manifest.json")
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    compiled = home / "dbt" / "target" / "compiled" / "amato"
    seconds = {"model": 0.0, "test": 0.0}
    with psycopg.connect(os.environ["WAREHOUSE_URL"], autocommit=True, options=OPTIONS) as conn:
        for node in nodes:
            kind = node["resource_type"]
            if kind not in seconds or node["config"]["materialized"] == "ephemeral":
                continue
            file = compiled / node["original_file_path"]
            if file.suffix == ".yml":
                file /= Path(node["path"]).name
            text = file.read_text(encoding="utf-8")
            statement = f"select count(*) from ({text}\n) as failures"
            if kind == "model":
                statement = f"create table staging.bare as {text}"
            begun = time.perf_counter()
            conn.execute(statement.encode())
            seconds[kind] += time.perf_counter() - begun
            conn.execute("drop table if exists staging.bare")
    print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    if job == "build":
        build(date.fromisoformat(arguments[0]), Path(arguments[1]))
    else:
        bare(Path(arguments[0]))
