"""What every DAG shares: defaults, tags, the ``as_of`` of a run, and table assets."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    Asset,
    Context,
    Param,
    RetryDecision,
    RetryPolicy,
    get_current_context,
)
from airflow.sdk.exceptions import AirflowFailException

OWNER = "data-engineering"
TAGS = frozenset({"amato", "nightly", "source", "warehouse", "quality", "models"})

# Drivers' errors by name: importing three drivers in every parse of a DAG file costs 0.3 s.
CONNECTION_LOST = frozenset(
    {
        "psycopg.OperationalError",
        "MySQLdb.OperationalError",
        "pymongo.errors.ConnectionFailure",
        "builtins.ConnectionError",
        "builtins.TimeoutError",
    }
)


class RetryLostConnections(RetryPolicy):
    """Retries what a retry can mend, a lost connection; all else fails at once.

    So the first error is the one that is read. A worker that was killed does not come by
    here: its task is retried by the scheduler.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide by the exception's classes."""
        names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(exception).__mro__}
        if names & CONNECTION_LOST:
            return RetryDecision.retry(reason="connection lost")
        return RetryDecision.fail(reason="a retry cannot mend this")

    def serialize(self) -> dict[str, Any]:
        """The policy has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetryLostConnections:
        """The inverse of :meth:`serialize`."""
        return cls()


DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RetryLostConnections(),
    "execution_timeout": timedelta(hours=2),
}


def first_night() -> datetime | None:
    """When the schedule begins: AMATO_FIRST_NIGHT, an ISO date; None where it says never."""
    given = os.environ["AMATO_FIRST_NIGHT"]
    if given == "never":
        return None
    day = date.fromisoformat(given)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def demo_mode() -> bool:
    """Whether each night first adds the source life that it is to find (AMATO_DEMO=1)."""
    return os.environ.get("AMATO_DEMO") == "1"


def as_of_param(empty: str = "the day of the run's schedule, or the day it was triggered") -> Param:
    """The ``as_of`` field of a DAG's form; ``empty`` says what it means where none is given."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description=f"Everything strictly before this day, 00:00 UTC. Empty: {empty}.",
    )


def run_as_of() -> date:
    """The ``as_of`` of the running task's DAG run: its parameter, else the run's own day."""
    context = get_current_context()
    given = context["params"].get("as_of")
    if given:
        try:
            return date.fromisoformat(given)
        except ValueError as error:
            raise AirflowFailException(
                f"as_of is {given!r}: give a date like 2024-12-31"
            ) from error
    run = context["dag_run"]
    moment = run.logical_date or run.run_after
    return moment.astimezone(UTC).date()


BY_HAND: dict[str, Any] = {
    "schedule": None,
    "is_paused_upon_creation": False,
    "max_active_runs": 1,
    "default_args": DEFAULT_ARGS,
}
"""What the DAGs that are only run by hand have in common."""


def table_asset(qualified_name: str) -> Asset:
    """The asset of one warehouse table, ``schema.table``."""
    schema, table = qualified_name.split(".")
    return Asset(name=qualified_name, uri=f"amato://warehouse/{schema}/{table}", group="warehouse")


def truth_folder() -> Path:
    """Where the ledger of the generated company is kept (AMATO_TRUTH); only tasks know it."""
    return Path(os.environ["AMATO_TRUTH"])


def shared_home() -> str:
    """The folder that all workers share: reports, docs and artefacts (AMATO_HOME)."""
    return os.environ["AMATO_HOME"]
