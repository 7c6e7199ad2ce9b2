"""A small client of Airflow's REST API: trigger a DAG, watch its tasks, read their logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from local_stack.layout import StackError

REQUEST_SECONDS = 60
POLL_SECONDS = 1.0
#: How long the API server may be away, as when the supervisor restarts it.
AWAY_SECONDS = 120
#: How long a run may stand still before Airflow's own health is asked for.
STILL_SECONDS = 90
PAGE = 100
FINISHED_RUN = {"success", "failed"}


class AirflowError(StackError):
    """The API refused a request, or did not do what it was asked in time."""


@dataclass(frozen=True)
class TaskRow:
    """One task instance of a run, as the grid shows it."""

    task_id: str
    map_index: int
    label: str
    state: str | None
    try_number: int
    start: datetime | None
    end: datetime | None

    @property
    def name(self) -> str:
        """The task's id, with the mapped item's name where it is mapped."""
        return f"{self.task_id}[{self.label}]" if self.map_index >= 0 else self.task_id

    @property
    def stage(self) -> str:
        """The task group that the task stands in; its own id where it stands in none."""
        return self.task_id.split(".", 1)[0]

    def seconds(self) -> float | None:
        """How long it ran, in seconds; None before its end."""
        if self.start is None or self.end is None:
            return None
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class RunState:
    """A DAG run at one moment."""

    dag_id: str
    run_id: str
    state: str
    tasks: tuple[TaskRow, ...]

    @property
    def finished(self) -> bool:
        """Whether the run ended."""
        return self.state in FINISHED_RUN

    def first_failure(self) -> TaskRow | None:
        """The failed task that ended first, from which the others follow."""
        failed = [task for task in self.tasks if task.state == "failed"]
        return min(failed, key=lambda task: (task.end is None, task.end), default=None)


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value.replace("Z", "+00:00")) if value else None


def _task_row(item: dict[str, Any]) -> TaskRow:
    map_index = item["map_index"]
    return TaskRow(
        task_id=item["task_id"],
        map_index=map_index,
        label=str(item.get("rendered_map_index") or map_index),
        state=item["state"],
        try_number=item["try_number"],
        start=_moment(item["start_date"]),
        end=_moment(item["end_date"]),
    )


class AirflowApi:
    """Airflow at ``url``, spoken to as one user."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Keep the address and the login; nothing is sent before the first call."""
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._session = requests.Session()

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        """Send one request, logging in first and again when the token has run out.

        A server that is away is asked again for AWAY_SECONDS, except to do something twice.
        """
        deadline = time.monotonic() + (AWAY_SECONDS if method == "GET" else 0)
        while True:
            try:
                answer = self._send(method, path, **arguments)
            except (requests.ConnectionError, requests.Timeout) as error:
                if time.monotonic() >= deadline:
                    raise AirflowError(
                        f"Airflow does not answer at {self.url}: see `make status`, and bring it "
                        "back with `make up`"
                    ) from error
                time.sleep(POLL_SECONDS)
                continue
            if not answer.ok:
                text = answer.text[:500]
                raise AirflowError(f"{method} {path}: HTTP {answer.status_code}: {text}")
            return answer.json()

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        url = f"{self.url}/api/v2{path}"
        if "Authorization" in self._session.headers:
            answer = self._session.request(method, url, timeout=REQUEST_SECONDS, **arguments)
            if answer.status_code != requests.codes.unauthorized:
                return answer
        self._log_in()
        return self._session.request(method, url, timeout=REQUEST_SECONDS, **arguments)

    def _log_in(self) -> None:
        address = f"{self.url}/auth/token"
        answer = self._session.post(address, json=self._login, timeout=REQUEST_SECONDS)
        if answer.status_code != requests.codes.created:
            raise AirflowError(f"Airflow refused the login: HTTP {answer.status_code}")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        """All items of a listing; the server gives at most PAGE at once."""
        items: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params={"limit": PAGE, "offset": len(items)})
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def wait_for_dags(
        self, dag_ids: set[str], parsed_after: datetime | None = None, seconds: float = 120
    ) -> None:
        """Wait until the DAGs have been parsed; since `parsed_after`, where that is given.

        Raises:
            AirflowError: naming the missing DAGs and any import error.
        """
        deadline = time.monotonic() + seconds
        while missing := dag_ids - self._parsed(parsed_after):
            if time.monotonic() > deadline:
                errors = self._call("GET", "/importErrors")["import_errors"]
                detail = "; ".join(f"{e['filename']}: {e['stack_trace'][-300:]}" for e in errors)
                raise AirflowError(f"Airflow did not read {', '.join(sorted(missing))}. {detail}")
            time.sleep(POLL_SECONDS)

    def _parsed(self, after: datetime | None) -> set[str]:
        dags = self._pages("/dags", "dags")
        times = {dag["dag_id"]: _moment(dag["last_parsed_time"]) for dag in dags}
        return {dag for dag, at in times.items() if at and (after is None or at >= after)}

    def is_paused(self, dag_id: str) -> bool:
        """Whether a DAG's schedule is paused."""
        return bool(self._call("GET", f"/dags/{dag_id}")["is_paused"])

    def schedule(self, dag_id: str) -> str | None:
        """When a DAG runs by itself, as Airflow says it; None where it does not."""
        timetable = self._call("GET", f"/dags/{dag_id}")["timetable_summary"]
        return None if timetable in (None, "None", "Never") else str(timetable)

    def has_succeeded(self, dag_id: str) -> bool:
        """Whether any run of a DAG ended well."""
        runs = self._call("GET", f"/dags/{dag_id}/dagRuns?state=success&limit=1")
        return bool(runs["dag_runs"])

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause a DAG's schedule, or let it run."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run with the form's values.

        Returns:
            The run's id.
        """
        body = {"logical_date": None, "conf": conf}
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> RunState:
        """The run and its tasks now, in the order of their start."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
        state = self._call("GET", path)["state"]
        items = self._pages(f"{path}/taskInstances", "task_instances")
        rows = sorted(
            map(_task_row, items),
            key=lambda row: (row.start is None, row.start, row.task_id, row.map_index),
        )
        return RunState(dag_id, run_id, state, tuple(rows))

    def watch(self, dag_id: str, run_id: str) -> Iterator[RunState]:
        """The run's state again and again, until it has ended.

        Raises:
            AirflowError: nothing moves, and a part of Airflow is not healthy.
        """
        last: RunState | None = None
        moved = time.monotonic()
        while True:
            state = self.run_state(dag_id, run_id)
            yield state
            if state.finished:
                return
            if state != last:
                last, moved = state, time.monotonic()
            elif time.monotonic() - moved > STILL_SECONDS:
                self.require_health()
                moved = time.monotonic()
            time.sleep(POLL_SECONDS)

    def require_health(self) -> None:
        """Raise AirflowError, naming the parts of Airflow that are not healthy."""
        parts = self._call("GET", "/monitor/health")
        ill = sorted(name for name, part in parts.items() if part and part["status"] != "healthy")
        if ill:
            raise AirflowError(
                f"Airflow's {' and '.join(ill)} is not healthy, so that nothing moves: see "
                "`make status` and .local/logs, and bring it back with `make up`"
            )

    def pending_runs(self, dag_id: str) -> list[str]:
        """Runs that are queued or running, and those the schedule owes by now."""
        path = f"/dags/{dag_id}/dagRuns"
        active = [
            str(run["dag_run_id"])
            for state in ("running", "queued")
            for run in self._call("GET", f"{path}?state={state}&order_by=run_after")["dag_runs"]
        ]
        dag = self._call("GET", f"/dags/{dag_id}")
        due = _moment(dag["next_dagrun_run_after"])
        if not active and not dag["is_paused"] and due and due <= datetime.now(UTC):
            return ["due"]
        return active

    def log_lines(self, dag_id: str, run_id: str, task: TaskRow, lines: int) -> list[str]:
        """The last lines of a task's log."""
        run = quote(run_id, safe="")
        content = self._call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task.task_id}/logs/{task.try_number}",
            params={"map_index": task.map_index, "full_content": "true"},
            headers={"Accept": "application/json"},
        )["content"]
        text: list[str] = []
        for entry in content:
            if isinstance(entry, str):
                text += entry.splitlines()
                continue
            text += str(entry.get("event", "")).splitlines()
            for error in entry.get("error_detail") or []:
                text.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
        return text[-lines:]
