"""All of extract_load at SCALE, through Airflow and without it, in one run.

A platform of its own, under ``.local/bench/airflow`` (used as it is where it is up already),
holds the generated company. The DAG is triggered by Airflow's API and measured from there to
the end of its run; the same loads run as plain processes, two tables at a time too. Best of
``AMATO_BENCH_REPEATS`` (2). ``AMATO_BENCH_SCALE`` makes a trial run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import date

import pytest

from data_generators.args import WorldArgs
from data_generators.generate import generate
from local_stack.airflow_api import AirflowApi, RunState
from local_stack.stack import Stack
from tests.benchmarks.measure import REPOSITORY, measure, python
from tests.integration.elt.support import empty_warehouse
from tests.integration.source_support import open_sources

SCALE = float(os.environ.get("AMATO_BENCH_SCALE", "1"))
REPEATS = int(os.environ.get("AMATO_BENCH_REPEATS", "2"))
AS_OF = date(2026, 1, 1)

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A platform with Airflow, its sources filled."""
    opened = Stack(REPOSITORY / ".local" / "bench" / "airflow", environment={})
    was_up = opened.is_up(opened.services)
    if not was_up:
        opened.clean()
        opened.up()
    urls = opened.urls()
    sources = {
        "mysql": urls["MYSQL_URL"],
        "postgres": urls["MARKETING_URL"],
        "mongo": urls["MONGO_URL"],
    }
    with open_sources(sources) as databases:
        generate(WorldArgs(1, SCALE, 730, AS_OF), **databases.all())
    yield opened
    if not was_up:
        opened.clean()


def run_dag(api: AirflowApi, conf: dict[str, object]) -> RunState:
    """Trigger extract_load, and wait until its run has ended."""
    run_id = api.trigger("extract_load", conf)
    *_, state = api.watch("extract_load", run_id)
    assert state.state == "success", state
    return state


_figures: dict[str, float] = {}


def note(name: str, value: float) -> None:
    """Print and keep a figure; at once, so that a run that is cut short leaves what it has."""
    _figures[name] = round(value, 3)
    print(f"{name}: {value:,.3f}", flush=True)
    path = REPOSITORY / ".local" / "bench" / "extract_load_airflow.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"scale": SCALE, **_figures}, indent=1) + "\n")


def test_extract_load_in_seconds_and_the_share_of_airflow(stack: Stack) -> None:
    urls = stack.urls()
    api = AirflowApi(urls["AIRFLOW_URL"], urls["AIRFLOW_USER"], urls["AIRFLOW_PASSWORD"])
    api.wait_for_dags({"extract_load"})

    def plain() -> tuple[float, float]:
        command = python("-m", "tests.benchmarks.elt_night", AS_OF.isoformat())
        done = measure(command, urls)
        found = re.search(r"^rows: ([0-9]+)$", done.output, re.MULTILINE)
        assert found, done.output
        return done.seconds, float(found[1])

    def dag() -> tuple[float, float]:
        state = run_dag(api, {"as_of": AS_OF.isoformat()})
        tasks = [task for task in state.tasks if task.start and task.end]
        begin = min(task.start for task in tasks if task.start)
        end = max(task.end for task in tasks if task.end)
        return (end - begin).total_seconds(), sum(task.seconds() or 0 for task in tasks)

    def best(run: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        figures = []
        for _ in range(REPEATS):
            empty_warehouse(urls["WAREHOUSE_URL"])
            figures.append(run())
        return min(figures)

    alone, rows = best(plain)
    note("plain processes, s", alone)
    note("rows", rows)
    through, working = best(dag)
    note("extract_load through Airflow, s", through)
    note("its tasks together, s", working)
    note("share of Airflow", 1 - alone / through)
    note("rows/s through Airflow", rows / through)
    # A night that finds nothing new: what the tasks cost by themselves.
    note("the same night again through Airflow, s", dag()[0])
    if SCALE >= 1:
        assert rows >= 2_400_000
