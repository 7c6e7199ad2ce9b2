"""Every DAG parses, and is what the design says: ids, docs, owners, retries, schedules."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from airflow.sdk.exceptions import ParamValidationError

from dags.stages.common import OWNER, TAGS
from dags.stages.source import DEFECTS_HELP, EFFECTS_HELP
from data_generators.args import EFFECTS, parse_effects
from data_generators.defects.catalogue import parse_defects
from elt.specs import SPECS
from ml.catalogue import CATALOGUE
from ml.model import WINDOW_MONTHS

DAGS_FOLDER = Path(__file__).resolve().parents[2] / "dags"
EXPECTED = {
    "nightly",
    "generate_source_data",
    "import_sales_csv",
    "extract_load",
    "transform",
    "validate",
    "train_models",
    "batch_inference",
}
STAGES = ["extract_load", "transform", "validate", "train_models", "batch_inference"]


@pytest.fixture(scope="module")
def bag():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMATO_FIRST_NIGHT", "2030-01-02")
        patch.setenv("AMATO_DEMO", "0")
        from airflow.dag_processing.dagbag import DagBag

        yield DagBag(dag_folder=str(DAGS_FOLDER))


def test_exactly_the_expected_dags_and_no_import_errors(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == EXPECTED


def test_one_dag_a_file_named_after_it(bag):
    files = {path.stem for path in DAGS_FOLDER.glob("*.py")} - {"__init__"}
    assert files == EXPECTED
    for dag_id, dag in bag.dags.items():
        assert Path(dag.fileloc).stem == dag_id


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_docs_owner_retries_and_tags(bag, dag_id):
    dag = bag.dags[dag_id]
    for heading in ("**Purpose.**", "**Inputs.**", "**Outputs.**", "**Triage.**"):
        assert heading in dag.doc_md
    assert dag.description
    assert dag.tags and set(dag.tags) <= TAGS
    assert dag.max_active_runs == 1
    assert dag.tasks
    for task in dag.tasks:
        assert task.owner == OWNER
        assert task.retries == 2
        assert task.retry_policy is not None
        assert task.execution_timeout is not None
        assert "_" in task.task_id.rsplit(".", 1)[-1], "task ids are verb_noun"


def test_only_nightly_is_periodic_and_it_catches_up_from_the_first_night(bag):
    periodic = {dag_id for dag_id, dag in bag.dags.items() if dag.schedule is not None}
    assert periodic == {"nightly"}
    nightly = bag.dags["nightly"]
    assert nightly.catchup is True
    assert nightly.start_date == datetime(2030, 1, 2, tzinfo=UTC)
    assert nightly.schedule == "0 1 * * *"


def test_a_world_that_ends_in_the_past_has_no_schedule():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMATO_FIRST_NIGHT", "never")
        from airflow.dag_processing.dagbag import DagBag

        nightly = DagBag(dag_folder=str(DAGS_FOLDER / "nightly.py")).dags["nightly"]
    assert nightly.schedule is None


def test_only_a_demo_adds_source_days_and_nothing_is_read_before_that(bag):
    assert "add_source_days" not in bag.dags["nightly"].task_ids
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMATO_FIRST_NIGHT", "2030-01-02")
        patch.setenv("AMATO_DEMO", "1")
        from airflow.dag_processing.dagbag import DagBag

        found = DagBag(dag_folder=str(DAGS_FOLDER / "nightly.py"))
    assert found.import_errors == {}
    demo = found.dags["nightly"]
    days = demo.get_task("add_source_days")
    assert not days.upstream_task_ids
    after = {task.task_id for task in days.get_flat_relatives(upstream=False)}
    assert after == set(demo.task_ids) - {"add_source_days"}
    assert set(demo.task_ids) == {*bag.dags["nightly"].task_ids, "add_source_days"}
    # Skipped days let the night begin; failed ones do not.
    assert demo.get_task("extract_load.open_night").trigger_rule == "none_failed"
    assert days.retries == 2 and days.retry_policy is not None


def test_the_form_of_the_generated_company_says_all_that_may_be_planted(bag):
    params = bag.dags["generate_source_data"].params
    assert set(params) == {"scale", "seed", "days", "databases", "as_of", "defects", "effects"}
    assert (params["defects"], params["effects"]) == ("default", "all")
    assert [name for name in EFFECTS if name not in EFFECTS_HELP] == []
    for example in ("default", "none", "default,customers.invalid_email=0.02"):
        assert example in DEFECTS_HELP
        parse_defects(example)
    parse_defects("none,transactions.orphan=0.01")
    assert parse_effects("all,-campaigns") == set(EFFECTS) - {"campaigns"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"defects": "default,customers.no_such=0.1"}, "customers.no_such"),
        ({"effects": "weather"}, "'weather' is not an effect"),
        ({"scale": 0}, "SCALE must be greater than 0"),
        ({"as_of": "tomorrow"}, "give a date like 2024-12-31"),
    ],
)
def test_a_bad_value_of_the_form_fails_at_once_and_says_why(monkeypatch, value, message):
    from airflow.sdk.exceptions import AirflowFailException

    from dags.stages import common, source

    form = {
        "scale": 0.1,
        "seed": 42,
        "days": 730,
        "as_of": "2024-07-01",
        "defects": "default",
        "effects": "all",
    }
    params = form | value
    monkeypatch.setattr(common, "get_current_context", lambda: {"params": params})
    with pytest.raises(AirflowFailException, match=message):
        source.form_world(params)
    monkeypatch.setattr(common, "get_current_context", lambda: {"params": form})
    assert source.form_world(form).as_of == date(2024, 7, 1)


def test_nightly_runs_the_stages_in_order(bag):
    nightly = bag.dags["nightly"]
    groups = nightly.task_group.children
    assert [name for name in groups if name in STAGES] == STAGES
    for before, after in itertools.pairwise(STAGES):
        reached: set[str] = set()
        for task in nightly.tasks:
            if task.task_id.startswith(f"{before}."):
                reached |= {t.task_id for t in task.get_flat_relatives(upstream=False)}
        assert any(task_id.startswith(f"{after}.") for task_id in reached), (before, after)


def test_nothing_is_scored_when_the_gate_is_shut(bag):
    """Between the gate and every scoring task, a chain of all_success rules must remain."""
    nightly = bag.dags["nightly"]
    check = nightly.get_task("batch_inference.check_gate")
    assert "validate.pass_gate" in check.upstream_task_ids
    assert check.trigger_rule == "all_success"
    assert nightly.get_task("batch_inference.score_customers").trigger_rule == "all_success"


def test_models_are_looked_back_at_however_one_of_them_was_scored(bag):
    for dag_id in ("nightly", "batch_inference"):
        watch = bag.dags[dag_id].get_task("batch_inference.watch_models")
        assert watch.upstream_task_ids == {"batch_inference.score_customers"}
        assert watch.trigger_rule == "all_done_min_one_success"
        assert watch.pool == "warehouse"


def test_every_model_of_the_catalogue_has_a_mapped_task(bag):
    for task_id in ("train_models.train_model", "batch_inference.score_customers"):
        mapped = bag.dags["nightly"].get_task(task_id)
        assert mapped.op_kwargs_expand_input.value["model"] == list(CATALOGUE)
        assert mapped.pool == "warehouse"
    outlets = {asset.name for task in bag.dags["nightly"].tasks for asset in task.outlets}
    assert {f"ml.{model}_predictions" for model in CATALOGUE} <= outlets


def test_the_form_offers_the_windows_and_options_of_the_models(bag):
    for dag_id, dag in bag.dags.items():
        has = dag_id in {"nightly", "train_models", "batch_inference"}
        assert ("window_months" in dag.params) is has, dag_id
        assert ("model_options" in dag.params) is has, dag_id
        if has:
            window = dag.params.get_param("window_months")
            assert (window.value, window.schema["enum"]) == (3, list(WINDOW_MONTHS))
            assert dag.params.get_param("model_options").value == {}
            for wrong in (0, 4, "3", None):
                with pytest.raises(ParamValidationError):
                    window.resolve(wrong)
            with pytest.raises(ParamValidationError):
                dag.params.get_param("model_options").resolve([1])


def test_mlflow_is_brought_up_to_date_however_models_fared_and_holds_nothing_up(bag):
    for dag_id in ("nightly", "train_models", "batch_inference"):
        record = bag.dags[dag_id].get_task("record_in_mlflow")
        last = "close_night" if dag_id == "nightly" else "finish_run"
        assert record.trigger_rule == "all_done"
        assert record.downstream_task_ids == {last}
        before = {task.task_id for task in record.get_flat_relatives(upstream=True)}
        last_step = {"train_models": "train_models.finish_training"}
        assert last_step.get(dag_id, "batch_inference.watch_models") in before


def test_only_who_gives_a_reason_publishes_a_stopped_night(bag):
    for dag_id, dag in bag.dags.items():
        assert ("publish_reason" in dag.params) is (dag_id in {"nightly", "validate"})
    param = bag.dags["validate"].params.get_param("publish_reason")
    assert param.value is None and param.schema["minLength"] == 10


def test_nothing_is_exported_when_the_gate_is_shut(bag):
    export = bag.dags["nightly"].get_task("export_datasets")
    assert export.upstream_task_ids == {"validate.pass_gate"}
    assert export.trigger_rule == "all_success"
    assert export.pool == "warehouse"
    assert "write_run_page" in export.downstream_task_ids


def test_a_past_night_builds_its_marts_and_nothing_that_shows_the_newest_one(bag):
    """Skipped layers let the marts be built; skipped docs let nothing follow."""
    for dag_id in ("nightly", "transform"):
        dag = bag.dags[dag_id]
        assert dag.get_task("transform.build_marts").trigger_rule == "none_failed"
        for name in ("build_staging", "build_intermediate", "write_docs"):
            assert dag.get_task(f"transform.{name}").trigger_rule == "all_success"
    nightly = bag.dags["nightly"]
    check = nightly.get_task("validate.run_expectations")
    assert check.upstream_task_ids == {"transform.write_docs"}
    assert check.trigger_rule == "all_success"
    assert nightly.get_task("train_models.train_model").trigger_rule == "all_success"


def test_no_run_can_end_well_after_a_failure(bag):
    """Airflow judges a run by its last tasks: each must be one that looks at all the others."""
    for dag_id, dag in bag.dags.items():
        leaves = {task.task_id for task in dag.tasks if not task.downstream_task_ids}
        if len(dag.tasks) > 1:
            last = {"close_night"} if dag_id == "nightly" else {"finish_run"}
            assert leaves == last, dag_id
            (leaf,) = leaves
            reached = {
                task.task_id for task in dag.get_task(leaf).get_flat_relatives(upstream=True)
            }
            assert reached == {task.task_id for task in dag.tasks} - {leaf}


def test_a_failure_is_named():
    from dags.stages.night import failure_message

    assert failure_message({"a.x": "failed", "b": "upstream_failed", "c": "failed"}) == (
        "a.x, c failed; 1 tasks after that did not run"
    )
    assert failure_message({"b": "upstream_failed"}) == "b failed"


def test_every_source_table_has_a_mapped_task(bag):
    mapped: list[str] = []
    for task in bag.dags["nightly"].tasks:
        if task.task_id.startswith("extract_load.load_"):
            mapped += task.op_kwargs_expand_input.value["table"]
    assert sorted(mapped) == sorted(spec.name for spec in SPECS)


def test_stage_dags_hold_the_same_tasks_as_nightly(bag):
    nightly = {task.task_id for task in bag.dags["nightly"].tasks}
    for stage in STAGES:
        own = {task.task_id for task in bag.dags[stage].tasks} - {"finish_run"}
        assert own and own <= nightly


def test_outlets_name_every_raw_table_and_mart(bag):
    outlets = {asset.name for task in bag.dags["nightly"].tasks for asset in task.outlets}
    assert {spec.raw_name for spec in SPECS} <= outlets
    assert {"quality.validation_results", "ml.kmeans_predictions"} <= outlets
    models = (DAGS_FOLDER.parent / "dbt_project/models/marts").glob("*.sql")
    marts = {name for name in outlets if name.startswith("marts.")}
    assert marts == {f"marts.{model.stem}" for model in models}


def test_a_retry_is_for_lost_connections_only():
    import MySQLdb
    import psycopg
    import pymongo.errors
    from airflow.sdk import RetryAction

    from dags.stages.common import RetryLostConnections

    policy = RetryLostConnections()
    lost = [
        psycopg.errors.ConnectionException("gone"),
        psycopg.OperationalError("gone"),
        MySQLdb.OperationalError(2006, "gone"),
        pymongo.errors.ServerSelectionTimeoutError("gone"),
        ConnectionResetError(),
        TimeoutError(),
    ]
    bugs = [ValueError("bug"), psycopg.errors.UndefinedTable("t"), MySQLdb.ProgrammingError("sql")]
    assert {policy.evaluate(error, 1, 2).action for error in lost} == {RetryAction.RETRY}
    assert {policy.evaluate(error, 1, 2).action for error in bugs} == {RetryAction.FAIL}
