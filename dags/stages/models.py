"""The train_models and batch_inference stages: each model trains and scores by itself.

Every task that uses a night asks for the gate's verdict itself: where it is cleared alone, or its
DAG is started by hand, nothing before it did.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from airflow.sdk import TriggerRule, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from dags.stages.common import shared_home, table_asset
from dags.stages.connections import warehouse
from dags.stages.night import latest_night, night_of_run
from dags.stages.validate import require_passed
from ml.catalogue import FAMILIES

MODELS = list(FAMILIES)
PREDICTIONS = [table_asset(f"ml.{model}_predictions") for model in MODELS]
MONDAY = 0
log = logging.getLogger(__name__)


@task(pool="warehouse", map_index_template="{{ model }}")
def train_model(model: str, always: bool) -> dict[str, Any]:
    """Train one model when it is due: on Mondays by as_of, or without a champion."""
    from ml.registry import champion_version

    get_current_context()["model"] = model  # type: ignore[typeddict-unknown-key]
    as_of = latest_night()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        champion = champion_version(conn, model)
        if champion is not None and not always and as_of.weekday() != MONDAY:
            raise AirflowSkipException(
                f"{model} is trained on Mondays by as_of; {champion} serves until then"
            )
        from ml.run import train_model as train

        return train(model, conn, as_of, Path(shared_home()))


@task(trigger_rule=TriggerRule.ALL_DONE)
def finish_training() -> None:
    """Let inference begin: a model that failed to train is served by its last champion."""
    log.info("training is over; each model's own task says how it went")


@task
def check_gate() -> None:
    """Refuse to score a night whose marts did not pass the gate, or are no longer there."""
    require_passed(latest_night())


@task(pool="warehouse", map_index_template="{{ model }}")
def score_customers(model: str) -> dict[str, Any]:
    """Score every customer with one model's champion, and write its report."""
    from ml.run import infer_model

    get_current_context()["model"] = model  # type: ignore[typeddict-unknown-key]
    as_of = latest_night()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        return infer_model(model, conn, as_of, Path(shared_home()))


@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, outlets=PREDICTIONS)
def write_master_report() -> None:
    """Write the report of all models of the night."""
    from ml.reports import write_master_report as write

    as_of = night_of_run()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        write(conn, as_of, Path(shared_home()))


@task_group
def train_models(always: bool = False) -> None:
    """Train each model that is due; one that fails stops no other."""
    train_model.partial(always=always).expand(model=MODELS) >> finish_training()


@task_group
def batch_inference() -> None:
    """Score every customer with each model's champion."""
    check_gate() >> score_customers.expand(model=MODELS) >> write_master_report()
