"""``make run``: brings the stack up and drives the whole chain through Airflow's API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from local_stack.airflow_api import POLL_SECONDS, AirflowApi, AirflowError, RunState
from local_stack.layout import StackError, write_private
from local_stack.settings import demo_mode, first_night, keep_demo_mode, schedule_from
from local_stack.stack import Stack
from local_stack.summary import Summary, count_rows, read_models, read_verdict, show, stage_seconds
from local_stack.world import Request, keep_world, read_request

LOG_LINES = 25
MARKS = {"success": "[green]✓[/]", "failed": "[red]✗[/]", "running": "[cyan]▶[/]"}
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
SOURCE_DATABASES = ("mysql", "postgres", "mongo")


class RunFailedError(StackError):
    """A DAG run ended failed; the message holds the failed task's last log lines."""


def run(stack: Stack, environment: Mapping[str, str], console: Console) -> None:
    """Bring everything up, make the source data, run the night, and show what came out.

    Raises:
        StackError: the request is wrong, a server does not start, or a task failed.
    """
    begun = time.monotonic()
    today = datetime.now(UTC).date()
    request = read_request(environment, stack.layout, today)
    if request.sales_path and "mysql" in stack.external:
        raise StackError(
            "SALES_CSV cannot be imported: mysql_shop was given from outside, and nothing is "
            "ever written into it. Unset AIRFLOW_CONN_MYSQL_SHOP"
        )
    _decide_schedule(stack, request, today)
    _decide_demo(stack, environment)
    # What Airflow knows of the DAGs may be from before it was stopped.
    starting = None if stack.is_up(stack.services) else datetime.now(UTC)
    stack.up()
    ready = time.monotonic()
    urls = stack.urls()
    api = AirflowApi(urls["AIRFLOW_URL"], urls["AIRFLOW_USER"], urls["AIRFLOW_PASSWORD"])
    source_dag, conf = _source_run(request, stack)
    api.wait_for_dags({"nightly", source_dag}, parsed_after=starting)
    _await_nights(api, console)
    as_of = _night_to_run(request, urls["WAREHOUSE_URL"])
    keep_world(stack.layout, request.world)
    runs = []
    if conf is not None:
        api.set_paused(source_dag, False)
        runs.append(_drive(api, source_dag, conf, console))
    runs.append(_run_night(api, as_of, console))
    summary = _summarise(stack, as_of, runs, ready - begun)
    write_private(
        stack.layout.root / "run_summary.json", json.dumps(summary.as_json(), indent=1) + "\n"
    )
    show(summary, console)
    if first_night(stack.layout, environment) is None:
        begins = "begins with" if demo_mode(stack.layout, environment) else "ends on"
        console.print(
            f"This world {begins} {request.world.as_of}, so that no night is scheduled: run a "
            "later one with `make run AS_OF=...`, or in the form of the nightly DAG.",
            soft_wrap=True,
        )


def _decide_schedule(stack: Stack, request: Request, today: date) -> None:
    """Fix when the schedule of a new world begins: the night after its first.

    A world that was made here and ends in the past gets none. The nights since would find no
    new data, and would move its marts away from the day that it ends on.
    """
    if not request.is_new:
        return
    made_here = any(name not in stack.external for name in SOURCE_DATABASES)
    begins = max(request.as_of, today) + timedelta(days=1)
    wanted = None if made_here and request.as_of < today else begins
    stack.layout.root.mkdir(parents=True, exist_ok=True)
    if first_night(stack.layout, {}) == wanted:
        return
    if stack.is_up(stack.services):
        stack.down()  # Airflow learns the schedule when it starts
    schedule_from(stack.layout, wanted)


def _decide_demo(stack: Stack, environment: Mapping[str, str]) -> None:
    """Remember DEMO; Airflow, whose nightly DAG it changes, learns it when it starts."""
    if keep_demo_mode(stack.layout, environment) and stack.is_up(stack.services):
        stack.down()


def _await_nights(api: AirflowApi, console: Console) -> None:
    """Wait for nights that the schedule has begun, or owes: they come first, and in order."""
    while pending := api.pending_runs("nightly"):
        if pending == ["due"]:
            time.sleep(POLL_SECONDS)
            continue
        console.print(f"waiting for the scheduled night {pending[0]}", soft_wrap=True)
        for state in api.watch("nightly", pending[0]):
            if state.finished:
                console.print(f"  {state.state}", markup=False)


def _night_to_run(request: Request, warehouse_url: str) -> date:
    """The night that was asked for; the newest one where none was.

    Raises:
        StackError: a newer night than the one asked for was loaded already.
    """
    with psycopg.connect(warehouse_url) as conn:
        row = conn.execute("select max(as_of) from elt.nights").fetchone()
    newest = row[0] if row else None
    if not isinstance(newest, date) or newest <= request.as_of:
        return request.as_of
    if request.as_of_given:
        raise StackError(
            f"AS_OF={request.as_of} is over: night {newest} was loaded since, and the marts are "
            f"never turned back. Use AS_OF={newest} or later, or none for the newest"
        )
    return newest


def _run_night(api: AirflowApi, as_of: date, console: Console) -> RunState:
    """Run one night. Its schedule stays as an engineer left it; the first night starts it."""
    keep_paused = api.is_paused("nightly") and api.has_succeeded("nightly")
    api.set_paused("nightly", False)
    try:
        return _drive(api, "nightly", {"as_of": as_of.isoformat()}, console)
    finally:
        if keep_paused:
            api.set_paused("nightly", True)


def _source_run(request: Request, stack: Stack) -> tuple[str, dict[str, Any] | None]:
    """The DAG that makes the source data and its form; no form where all is external."""
    if request.sales_path:
        return "import_sales_csv", {"path": str(request.sales_path), **request.sales_columns}
    world = request.world
    databases = [name for name in SOURCE_DATABASES if name not in stack.external]
    conf = {
        "scale": world.scale,
        "seed": world.seed,
        "days": world.days,
        "as_of": world.as_of,
        "databases": databases,
        "defects": world.defects,
        "effects": world.effects,
    }
    return "generate_source_data", conf if databases else None


def _drive(api: AirflowApi, dag_id: str, conf: dict[str, Any], console: Console) -> RunState:
    """Trigger one run and show its tasks until it ends."""
    run_id = api.trigger(dag_id, conf)
    console.print(f"[bold]{dag_id}[/] {api.url}/dags/{dag_id}/runs/{run_id}", soft_wrap=True)
    shown: set[str] = set()
    live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
    with live or nullcontext():
        for state in api.watch(dag_id, run_id):
            if live:
                live.update(_progress(state))
            else:
                _print_ended(state, shown, console)
    if state.state != "success":
        raise RunFailedError(_failure_text(api, state))
    return state


def _progress(state: RunState) -> Table:
    """The run's tasks with their states and times, as the terminal shows them."""
    table = Table(box=None, show_header=False)
    now = datetime.now(UTC)
    for task in state.tasks:
        if task.state is None:
            continue
        seconds = task.seconds()
        if seconds is None and task.start is not None:
            seconds = (now - task.start).total_seconds()
        clock = "" if seconds is None else f"{seconds:6.1f} s"
        table.add_row(MARKS.get(task.state, "·"), escape(task.name), task.state, clock)
    return table


def _print_ended(state: RunState, shown: set[str], console: Console) -> None:
    """Print each task once, when it has ended: what a log file or a pipe can show."""
    for task in state.tasks:
        if task.state in ENDED and task.name not in shown:
            shown.add(task.name)
            seconds = task.seconds()
            clock = "" if seconds is None else f"{seconds:6.1f} s"
            console.print(
                f"  {task.state:<16}{clock:>10}  {task.name}", markup=False, soft_wrap=True
            )


def _failure_text(api: AirflowApi, state: RunState) -> str:
    """Which task failed, its last log lines, and where to read on."""
    task = state.first_failure()
    address = f"{api.url}/dags/{state.dag_id}/runs/{state.run_id}"
    if task is None:
        return f"{state.dag_id} ended {state.state} before any task failed; see {address}"
    try:
        lines = api.log_lines(state.dag_id, state.run_id, task, LOG_LINES)
    except AirflowError as error:
        lines = [f"(the log cannot be read: {error})"]
    quoted = "\n".join(f"    {line}" for line in lines)
    return f"{state.dag_id}: task {task.name} failed. Its log ends:\n{quoted}\nSee {address}"


def _summarise(stack: Stack, as_of: date, runs: list[RunState], setup_seconds: float) -> Summary:
    """Gather the summary from the warehouse, from AMATO_HOME and from the runs."""
    urls = stack.urls()
    with psycopg.connect(urls["WAREHOUSE_URL"]) as conn:
        rows, models = count_rows(conn), read_models(conn, as_of)
    base = urls["AIRFLOW_URL"].rstrip("/")
    addresses = {
        "Airflow": f"{base}  (user {urls['AIRFLOW_USER']}; `make env` prints the password)",
        "This night": f"{base}/dags/nightly/runs/{runs[-1].run_id}",
        "dbt docs": f"{base}/plugin/amato-dbt-docs",
        "Data Docs": f"{base}/plugin/amato-data-docs",
        "Model reports": f"{base}/plugin/amato-reports",
        "MLflow": f"{urls['MLFLOW_TRACKING_URI']}  (user {urls['MLFLOW_TRACKING_USERNAME']}, too)",
    }
    if (stack.layout.home / "reports" / "world.html").exists():
        addresses["The company"] = f"{base}/amato/reports/world.html"
    return Summary(
        as_of=as_of.isoformat(),
        state=runs[-1].state,
        rows=rows,
        verdict=read_verdict(stack.layout.home, as_of),
        models=models,
        seconds={"start servers": round(setup_seconds, 2), **stage_seconds(*runs)},
        addresses=addresses,
    )


def main(stack: Stack) -> int:
    """The command ``run``: reads its arguments from the environment."""
    run(stack, stack.environment, Console())
    return 0
