"""The train_models and batch_inference stages: each model trains, scores and looks back by itself.

Every task that uses a night asks for the gate's verdict itself: where it is cleared alone, or its
DAG is started by hand, nothing before it did.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, TriggerRule, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from dags.stages.common import shared_home, table_asset
from dags.stages.connections import warehouse
from dags.stages.night import latest_night, night_of_run
from dags.stages.validate import require_passed
from ml.catalogue import FAMILIES

if TYPE_CHECKING:
    from datetime import date

    from ml.model import Scope

MODELS = list(FAMILIES)
PREDICTIONS = [table_asset(f"ml.{model}_predictions") for model in MODELS]
MONDAY = 0
log = logging.getLogger(__name__)


def model_params() -> dict[str, Param]:
    """The fields of a form that say how models train and score."""
    return {
        "window_months": Param(
            3,
            type="integer",
            enum=[1, 2, 3],
            title="Inference window (months)",
            description="Models learn nothing of these last months, and score from them.",
        ),
        "model_options": Param(
            {},
            type="object",
            title="Options of single models",
            description=(
                'For the budget: {"budget_total": 20000, "budget_limits": {"Google": '
                '{"lock": 4000}, "Email": {"floor": 500, "cap": 2500}}}. Empty: none.'
            ),
        ),
    }


def run_scope(as_of: date) -> Scope:
    """What the running task's run is about: the night, and what its form says of models."""
    from ml.model import Scope

    params = get_current_context()["params"]
    return Scope(as_of, params["window_months"], params["model_options"])


@task(pool="warehouse", map_index_template="{{ model }}")
def train_model(model: str, always: bool) -> dict[str, Any]:
    """Train one model when it is due: on Mondays by as_of, without a champion, or on request."""
    from ml.registry import champion_version, retraining_reason

    get_current_context()["model"] = model  # type: ignore[typeddict-unknown-key]
    as_of = latest_night()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        champion = champion_version(conn, model)
        asked = retraining_reason(conn, model, as_of)
        conn.commit()
        if champion is not None and not always and not asked and as_of.weekday() != MONDAY:
            raise AirflowSkipException(
                f"{model} is trained on Mondays by as_of; {champion} serves until then"
            )
        if asked:
            log.warning("%s is trained because it was asked for: %s", model, asked)
        from ml.run import train_model as train

        return train(model, conn, run_scope(as_of), Path(shared_home()))


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
    """Score the night with one model's champion, and write its report."""
    from ml.run import infer_model

    get_current_context()["model"] = model  # type: ignore[typeddict-unknown-key]
    as_of = latest_night()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        return infer_model(model, conn, run_scope(as_of), Path(shared_home()))


@task(pool="warehouse", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def watch_models() -> None:
    """Compare every model's past predictions with what happened; one that fails stops no other."""
    from ml.run import watch_model

    as_of = latest_night()
    require_passed(as_of)
    failed = []
    for model in MODELS:
        try:
            with warehouse("amato_scientist") as conn:
                watch_model(model, conn, run_scope(as_of))
        except Exception:
            log.exception("the look back at %s failed", model)
            failed.append(model)
    if failed:
        raise AirflowException(f"the look back failed for {', '.join(failed)}; see the log above")


@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, outlets=PREDICTIONS)
def write_master_report() -> None:
    """Write the report of all models of the night."""
    from ml.reports import write_master_report as write

    as_of = night_of_run()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        write(conn, as_of, Path(shared_home()))


@task(trigger_rule=TriggerRule.ALL_DONE)
def record_in_mlflow() -> None:
    """Show in MLflow what the registry of models holds now.

    However training and scoring went: what an earlier run could not record is recorded too.
    """
    from ml.tracking import sync

    login = os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]
    with warehouse("amato_scientist") as conn:
        sync(conn, os.environ["MLFLOW_TRACKING_URI"], Path(shared_home()), login)


@task_group
def train_models(always: bool = False) -> None:
    """Train each model that is due; one that fails stops no other."""
    train_model.partial(always=always).expand(model=MODELS) >> finish_training()


@task_group
def batch_inference() -> None:
    """Score the night with each model's champion, and look back at what they had said."""
    scored = score_customers.expand(model=MODELS)
    check_gate() >> scored >> watch_models()
    scored >> write_master_report()
