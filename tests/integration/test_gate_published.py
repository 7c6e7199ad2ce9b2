"""What becomes of a stopped night: its rows are kept, and somebody may publish it all the same."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from dags.stages import extract_load
from dags.stages.dbt_build import build_past_night
from dags.stages.exports import NothingToExportError
from dags.stages.gate import (
    GateStoppedError,
    NotValidatedError,
    check_verdict,
    publish_night,
    recorded_result,
    run_gate,
    write_unjudged_file,
)
from dags.stages.gate_builds import note_build
from dags.stages.gate_records import Override
from dags.stages.run_pages import newest_verdict, read_verdict
from ml.catalogue import FAMILIES
from ml.standing import night_mark
from plugins.amato_pages.markup import reports_page
from plugins.amato_pages.reports import list_reports
from tests.integration.dbt_support import fill_raw, query
from tests.integration.gate_support import NIGHT, execute, make_marts, make_project

SPOIL = "update marts.customer_rfm set rfm_segment = 'Whale', recency_score = 9"
WHY = Override(
    reason="the new segment is meant to be there",
    published_by="ada",
    dag_id="validate",
    run_id="manual__1",
    run_at=datetime(1998, 7, 1, 8, tzinfo=UTC),
)


def judge(url: str, home: Path, night: date = NIGHT) -> str:
    project = make_project(home.with_name(f"{home.name}_gx"), "customer_rfm")
    return run_gate(night, home, url, project).verdict


def publish(url: str, home: Path) -> str:
    with psycopg.connect(url, options="-c role=amato_validator") as conn:
        return publish_night(conn, NIGHT, home, WHY)


def start_run(monkeypatch: pytest.MonkeyPatch, url: str, home: Path, run_id: str) -> None:
    """Let the functions of the stage run as in a run that ada started."""
    from dags.stages import validate

    def warehouse(role: str) -> psycopg.Connection[Any]:
        return psycopg.connect(url, options=f"-c role={role} -c timezone=UTC")

    run = SimpleNamespace(
        dag_id="validate", run_id=run_id, run_after=WHY.run_at, triggering_user_name="ada"
    )
    monkeypatch.setattr(validate, "warehouse", warehouse)
    monkeypatch.setattr(validate, "get_current_context", lambda: {"dag_run": run})
    monkeypatch.setenv("AMATO_HOME", str(home))


def test_all_failing_rows_are_kept_with_their_keys(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url, customers=250)
    execute(warehouse_url, SPOIL)
    assert judge(warehouse_url, tmp_path) == "failed"
    rows = (
        "select row_key from quality.failing_rows where expectation = '{}' order by row_key::text"
    )
    unknown = query(warehouse_url, rows.format("rfm_segment_is_one_of_eleven"))
    assert len(unknown) == 250  # GX itself would show 200
    assert unknown[0] == ({"customer_id": "C01", "rfm_segment": "Whale"},)
    assert query(warehouse_url, rows.format("recency_score_in_range"))[0] == (
        {"customer_id": "C01", "recency_score": 9},
    )
    counted = (
        "select sum(unexpected_count), (select count(*) from quality.failing_rows)"
        " from quality.validation_results where state = 'failed'"
    )
    ((said, kept),) = query(warehouse_url, counted)
    assert said == kept
    judge(warehouse_url, tmp_path)
    assert query(warehouse_url, counted) == [(said, kept)]
    judge(warehouse_url, tmp_path, date(1998, 8, 20))  # long after
    assert query(
        warehouse_url, f"select count(*) from quality.failing_rows where as_of = '{NIGHT}'"
    ) == [(0,)]


def test_a_column_that_lost_values_names_every_row_that_did(
    warehouse_url: str, tmp_path: Path
) -> None:
    """What sixteen nights taught is what the first of them showed."""
    make_marts(warehouse_url, customers=250)
    judge(warehouse_url, tmp_path)
    execute(
        warehouse_url,
        "insert into quality.table_figures (as_of, table_name, figure, column_name, value)"
        " select as_of - n, table_name, figure, column_name, value"
        " from quality.table_figures cross join generate_series(1, 16) as n",
    )
    execute(
        warehouse_url,
        "insert into quality.verdicts (as_of, verdict, published)"
        " select as_of - n, 'passed', true"
        " from quality.verdicts cross join generate_series(1, 16) as n",
    )
    execute(
        warehouse_url,
        "update marts.customer_rfm set email = null, first_name = null where frequency <= 129",
    )
    assert judge(warehouse_url, tmp_path) == "failed"
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        outcomes = recorded_result(conn, NIGHT).outcomes
    outcome = next(o for o in outcomes if o.name == "columns_are_filled_as_usual")
    assert (outcome.unexpected_count, outcome.rows_checked) == (129, 250)
    assert "(129 of 250 rows; e.g. customer_id=C01, null_columns=email, first_name;" in (
        outcome.finding()
    )
    assert query(
        warehouse_url,
        "select count(distinct row_key ->> 'customer_id') from quality.failing_rows"
        " where expectation = 'columns_are_filled_as_usual'",
    ) == [(129,)]


def shown(index: str, night: date) -> str:
    """What the index of Data Docs says of a night of the only suite."""
    (row,) = (r for r in index.split("{'validation_success': ") if f"/{night}/" in r)
    (text,) = re.findall(r"'_validation_success_text': '(\w+)'", row)
    assert ("ge-success-icon" in row) == (text == "Success")
    return str(text)


def test_an_emptied_table_is_critical_and_one_that_never_held_rows_is_none(
    warehouse_url: str, tmp_path: Path
) -> None:
    state = (
        "select state, note from quality.validation_results"
        " where expectation = 'still_holds_rows' and as_of = '{}'"
    )
    make_marts(warehouse_url, customers=0)
    assert judge(warehouse_url, tmp_path) == "passed"
    assert query(warehouse_url, state.format(NIGHT)) == [
        ("not_applicable", "marts.customer_rfm has never held rows")
    ]
    index = tmp_path / "data_docs" / "index.html"
    assert shown(index.read_text(), NIGHT) == "Success"
    execute(warehouse_url, "insert into marts.customer_rfm (customer_id) values ('C01')")
    judge(warehouse_url, tmp_path)
    execute(warehouse_url, "delete from marts.customer_rfm")
    assert judge(warehouse_url, tmp_path, date(1998, 7, 2)) == "failed"
    assert query(warehouse_url, state.format("1998-07-02")) == [("failed", None)]
    assert shown(index.read_text(), date(1998, 7, 2)) == "Failed"


def test_a_night_has_scores_that_its_verdict_and_pages_show(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_marts(warehouse_url)
    judge(warehouse_url, tmp_path)
    scores = "select table_name, score, rows_checked, failed from quality.table_scores"
    assert query(warehouse_url, f"{scores} order by 1 nulls last") == [
        ("marts.customer_rfm", 100, 11, 0), (None, 100, 11, 0)]  # fmt: skip
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    ((_, score, _, failed), night) = query(warehouse_url, f"{scores} order by 1 nulls last")
    assert failed == 3 and 50 < score < 100 and night[1] == score
    assert query(warehouse_url, "select verdict, score, published from quality.verdicts") == [
        ("failed", score, False)
    ]
    told = read_verdict(tmp_path, NIGHT)
    assert told is not None and told["scores"][-1]["score"] == pytest.approx(float(score), abs=0.01)


def test_a_stopped_night_can_be_published_with_a_reason_until_it_is_built_again(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    reader = "-c role=amato_reader"
    with psycopg.connect(warehouse_url, options=reader) as conn, pytest.raises(GateStoppedError):
        check_verdict(conn, NIGHT)

    mark = publish(warehouse_url, tmp_path)
    assert mark.startswith(
        "Published although the gate stopped it, by ada (validate, manual__1, 1998-07-01 08:00"
        " UTC): the new segment is meant to be there. The gate had found: "
    )
    with psycopg.connect(warehouse_url, options=reader) as conn:
        assert check_verdict(conn, NIGHT).override == WHY
    with psycopg.connect(warehouse_url, options="-c role=amato_scientist") as conn:
        assert night_mark(conn, NIGHT) == mark
    told = read_verdict(tmp_path, NIGHT)
    assert told is not None and told["override"]["reason"] == WHY.reason

    # Judged again as it stands, it stays published; built again, it does not.
    judge(warehouse_url, tmp_path)
    with psycopg.connect(warehouse_url, options=reader) as conn:
        assert check_verdict(conn, NIGHT).override == WHY
    with psycopg.connect(warehouse_url, options="-c role=amato_transformer") as conn:
        note_build(conn, "marts", NIGHT)
    with psycopg.connect(warehouse_url, options="-c role=amato_scientist") as conn:
        assert night_mark(conn, NIGHT) is None
    with psycopg.connect(warehouse_url, options=reader) as conn, pytest.raises(NotValidatedError):
        check_verdict(conn, NIGHT)
    with pytest.raises(NotValidatedError):
        publish(warehouse_url, tmp_path)
    judge(warehouse_url, tmp_path)
    with psycopg.connect(warehouse_url, options=reader) as conn, pytest.raises(GateStoppedError):
        check_verdict(conn, NIGHT)


def test_the_task_logs_the_cause_first_and_publishes_for_who_started_the_run(
    warehouse_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.stages import validate

    start_run(monkeypatch, warehouse_url, tmp_path, "manual__1")
    make_marts(warehouse_url)
    with pytest.raises(AirflowFailException, match="never validated"):
        validate.require_passed(NIGHT)
    validate.publish_if_stopped(NIGHT, WHY.reason)  # there is nothing to publish yet
    judge(warehouse_url, tmp_path)
    validate.publish_if_stopped(NIGHT, WHY.reason)  # not stopped: nothing to publish
    assert query(warehouse_url, "select count(*) from quality.overrides") == [(0,)]

    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    lines: list[str] = []
    monkeypatch.setattr(validate.log, "error", lines.append)  # Airflow takes all handlers away
    with pytest.raises(AirflowFailException):
        validate.require_passed(NIGHT)
    assert lines[0].startswith(
        "night 1998-07-01 is stopped: recency_score_in_range failed on marts.customer_rfm"
        " (11 of 11 rows; e.g. customer_id=C01, recency_score=9) and 2 more; look at Data Docs,"
        " /amato/data_docs/validations/customer_rfm/1998-07-01/"
    )
    with pytest.raises(AirflowFailException, match="say why in a sentence"):
        validate.publish_if_stopped(NIGHT, "because")
    validate.publish_if_stopped(NIGHT, WHY.reason)
    validate.require_passed(NIGHT)
    assert query(
        warehouse_url, "select reason, published_by, dag_id, run_id, run_at from quality.overrides"
    ) == [(WHY.reason, "ada", "validate", "manual__1", WHY.run_at)]


def test_a_night_that_is_over_is_not_published_once_it_is_written_again(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_marts(warehouse_url)
    fill_raw(warehouse_url)
    later = NIGHT + timedelta(days=1)
    assert judge(warehouse_url, tmp_path) == "passed"
    execute(warehouse_url, f"update marts.customer_rfm set as_of = '{later}'")
    assert judge(warehouse_url, tmp_path, later) == "passed"
    build_past_night(NIGHT, tmp_path, warehouse_url)
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        with pytest.raises(NotValidatedError, match=r"built again .* that is over is not judged"):
            check_verdict(conn, NIGHT)
        assert check_verdict(conn, later).verdict == "passed"
    assert query(warehouse_url, "select as_of from quality.verdicts where published") == [(later,)]
    assert read_verdict(tmp_path, NIGHT) is None


def test_an_override_covers_what_it_was_given_for_and_nothing_else(
    warehouse_url: str, tmp_path: Path
) -> None:
    def passes() -> bool:
        judge(warehouse_url, tmp_path)
        (published,) = query(warehouse_url, "select published from quality.verdicts")
        told = read_verdict(tmp_path, NIGHT)
        assert told is not None and published == (told["override"] is not None,)
        with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
            try:
                return check_verdict(conn, NIGHT).override == WHY
            except GateStoppedError as error:
                assert "frequency_is_known failed" in str(error)
                return False

    make_marts(warehouse_url)
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    publish(warehouse_url, tmp_path)
    assert passes()
    execute(warehouse_url, "update marts.customer_rfm set recency_score = 2")
    assert passes()  # less is wrong than was published
    execute(warehouse_url, "update marts.customer_rfm set frequency = null where frequency = 2")
    assert not passes()
    execute(warehouse_url, "update marts.customer_rfm set frequency = 2 where frequency is null")
    assert passes()
    # What could not be evaluated was not looked at: what it finds later is new.
    execute(warehouse_url, "alter table marts.fct_orders rename to hidden")
    judge(warehouse_url, tmp_path)
    with psycopg.connect(warehouse_url, options="-c role=amato_validator") as conn:
        publish_night(conn, NIGHT, tmp_path, replace(WHY, run_id="manual__2"))
    execute(warehouse_url, "alter table marts.hidden rename to fct_orders")
    execute(warehouse_url, "update marts.customer_rfm set frequency = 3 where frequency = 2")
    assert judge(warehouse_url, tmp_path) == "failed"
    with (
        psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn,
        pytest.raises(GateStoppedError, match="frequency_adds_up_to_orders failed"),
    ):
        check_verdict(conn, NIGHT)


def test_the_reason_of_a_run_publishes_once(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.stages import validate

    make_marts(warehouse_url)
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    start_run(monkeypatch, warehouse_url, tmp_path, "manual__1")
    validate.publish_if_stopped(NIGHT, WHY.reason)
    validate.publish_if_stopped(NIGHT, WHY.reason)  # cleared: it holds already
    validate.require_passed(NIGHT)
    with psycopg.connect(warehouse_url, options="-c role=amato_transformer") as conn:
        note_build(conn, "marts", NIGHT)
    judge(warehouse_url, tmp_path)
    spent = "night 1998-07-01 is stopped: recency_score_in_range .* manual__1 .* published it once"
    with pytest.raises(AirflowFailException, match=spent):
        validate.publish_if_stopped(NIGHT, WHY.reason)
    with pytest.raises(AirflowFailException, match="recency_score_in_range failed"):
        validate.require_passed(NIGHT)
    start_run(monkeypatch, warehouse_url, tmp_path, "manual__2")
    validate.publish_if_stopped(NIGHT, WHY.reason)
    validate.require_passed(NIGHT)
    assert query(warehouse_url, "select run_id from quality.overrides order by 1") == [
        ("manual__1",), ("manual__2",)]  # fmt: skip


def test_no_task_by_itself_uses_a_night_that_is_not_published(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.stages import datasets, models, validate

    def warehouse(role: str) -> psycopg.Connection[Any]:
        return psycopg.connect(warehouse_url, options=f"-c role={role} -c timezone=UTC")

    for stage in (datasets, models, validate):
        monkeypatch.setattr(stage, "warehouse", warehouse)
    for stage, name in (
        (datasets, "night_of_run"), (models, "night_of_run"), (models, "latest_night")
    ):  # fmt: skip
        monkeypatch.setattr(stage, name, lambda: NIGHT)
    form = {"window_months": 3, "model_options": {}}
    monkeypatch.setattr(models, "get_current_context", lambda: {"params": form})
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
    tasks: list[tuple[Any, dict[str, Any]]] = [
        (models.train_model, {"model": "kmeans", "always": True}),
        (models.score_customers, {"model": "kmeans"}),
        (models.watch_models, {}),
        (models.write_master_report, {}),
        (datasets.export_datasets, {}),
    ]

    def each_refuses(because: str) -> None:
        for task, arguments in tasks:
            with pytest.raises(AirflowFailException, match=f"1998-07-01 is stopped: {because}"):
                task.function(**arguments)

    make_marts(warehouse_url)
    each_refuses("it was never validated. Run the DAG validate")
    judge(warehouse_url, tmp_path)
    with psycopg.connect(warehouse_url, options="-c role=amato_transformer") as conn:
        note_build(conn, "marts", NIGHT)
    each_refuses("the marts were built again .*: run validate with")
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    each_refuses("recency_score_in_range failed on marts.customer_rfm .*look at Data Docs")
    assert not (tmp_path / "reports").exists() and not (tmp_path / "datasets").exists()

    publish(warehouse_url, tmp_path)
    (train, arguments), (score, scored), *_ = tasks
    assert train.function(**arguments)["state"] == "not_applicable"  # too few customers
    assert score.function(**scored)["state"] == "not_applicable"
    models.watch_models.function()
    assert query(warehouse_url, "select model, state from ml.model_runs where kind = 'watch'") == [
        (model, "not_applicable") for model in FAMILIES
    ]
    models.write_master_report.function()
    assert list((tmp_path / "reports" / "master").iterdir())
    with pytest.raises(NothingToExportError):  # past the gate: these marts have no features
        datasets.export_datasets.function()


def test_a_warning_marks_what_is_made_from_the_night(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, "update marts.customer_rfm set avg_order_value = null")
    assert judge(warehouse_url, tmp_path) == "passed_with_warnings"
    with psycopg.connect(warehouse_url, options="-c role=amato_scientist") as conn:
        mark = night_mark(conn, NIGHT)
        assert night_mark(conn, date(1998, 7, 2)) is None
    assert mark is not None and mark.startswith(
        "Published with a warning: avg_order_value_is_known failed on marts.customer_rfm (11 of"
    )


def test_predictions_are_stale_unless_the_newest_night_is_published_and_scored(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view and the page say the same at every step of a night."""
    before = NIGHT - timedelta(days=1)
    mend = "update marts.customer_rfm set rfm_segment = 'Lost', recency_score = frequency_score"

    def score(night: date) -> None:
        execute(
            warehouse_url,
            "insert into ml.model_runs (model, as_of, kind, state, seconds)"
            f" values ('kmeans', '{night}', 'infer', 'success', 1)",
        )
        report = tmp_path / "reports" / "customer_segmentation" / f"kmeans_{night}_v1.html"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.touch()

    def expect(predicted: date, because: str | None) -> None:
        ((night, stale, why),) = query(
            warehouse_url,
            "select predictions_as_of, is_stale, stale_because from ml.predictions_standing",
        )
        assert (night, stale) == (predicted, because is not None)
        reports = list_reports(tmp_path / "reports")
        page = reports_page("/", reports, newest_verdict(tmp_path))
        assert ("Stale" in page) is stale
        if because is not None:
            assert because in why and because in page
            assert f"still those of {predicted} (kmeans)" in page

    make_marts(warehouse_url)
    execute(warehouse_url, f"update marts.customer_rfm set as_of = '{before}'")
    assert judge(warehouse_url, tmp_path, before) == "passed"
    score(before)
    expect(before, None)

    # The night begins: nothing is known of it yet.
    monkeypatch.setattr(extract_load, "run_as_of", lambda: NIGHT)
    monkeypatch.setattr(extract_load, "warehouse", lambda role: psycopg.connect(warehouse_url))
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
    extract_load.open_night.function()
    expect(before, "has not judged it as it stands")
    execute(warehouse_url, f"update marts.customer_rfm set as_of = '{NIGHT}'")
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    expect(before, "recency_score_in_range failed on marts.customer_rfm")
    # Judging it again breaks off half-way.
    with pytest.raises(FileNotFoundError):
        run_gate(NIGHT, tmp_path, warehouse_url, tmp_path / "not_there")
    expect(before, "has not judged it as it stands")

    execute(warehouse_url, mend)
    execute(warehouse_url, "update marts.customer_rfm set rfm_score = recency_score::text ||"
                           " frequency_score::text || monetary_score::text")  # fmt: skip
    assert judge(warehouse_url, tmp_path) == "passed"
    expect(before, "not scored yet")
    extract_load.open_night.function()  # cleared: the marts are still those that were judged
    expect(before, "not scored yet")
    score(NIGHT)
    expect(NIGHT, None)

    with psycopg.connect(warehouse_url, options="-c role=amato_transformer") as conn:
        note_build(conn, "marts", NIGHT)
    write_unjudged_file(tmp_path, NIGHT)
    expect(NIGHT, "has not judged it as it stands")
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    expect(NIGHT, "recency_score_in_range failed on marts.customer_rfm")
    publish(warehouse_url, tmp_path)
    expect(NIGHT, None)
