"""What becomes of a stopped night: its rows are kept, and somebody may publish it all the same."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from dags.stages.gate import (
    GateStoppedError,
    NotValidatedError,
    check_verdict,
    publish_night,
    recorded_result,
    run_gate,
)
from dags.stages.gate_builds import note_build
from dags.stages.gate_records import Override
from dags.stages.run_pages import read_verdict, stopped_night
from ml.standing import night_mark
from tests.integration.dbt_support import query
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
    execute(warehouse_url, "insert into marts.customer_rfm (customer_id) values ('C01')")
    judge(warehouse_url, tmp_path)
    execute(warehouse_url, "delete from marts.customer_rfm")
    assert judge(warehouse_url, tmp_path, date(1998, 7, 2)) == "failed"
    assert query(warehouse_url, state.format("1998-07-02")) == [("failed", None)]


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
    assert stopped_night(tmp_path) is not None

    mark = publish(warehouse_url, tmp_path)
    assert mark.startswith(
        "Published although the gate stopped it, by ada (validate, manual__1, 1998-07-01 08:00"
        " UTC): the new segment is meant to be there. The gate had found: "
    )
    with psycopg.connect(warehouse_url, options=reader) as conn:
        assert check_verdict(conn, NIGHT).override == WHY
    with psycopg.connect(warehouse_url, options="-c role=amato_scientist") as conn:
        assert night_mark(conn, NIGHT) == mark
    assert stopped_night(tmp_path) is None
    told = read_verdict(tmp_path, NIGHT)
    assert told is not None and told["override"]["reason"] == WHY.reason

    # Judged again as it stands, it stays published; built again, it does not.
    judge(warehouse_url, tmp_path)
    with psycopg.connect(warehouse_url, options=reader) as conn:
        assert check_verdict(conn, NIGHT).override == WHY
    with psycopg.connect(warehouse_url, options="-c role=amato_transformer") as conn:
        note_build(conn, "marts", NIGHT)
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

    def warehouse(role: str) -> psycopg.Connection[Any]:
        return psycopg.connect(warehouse_url, options=f"-c role={role} -c timezone=UTC")

    run = SimpleNamespace(
        dag_id="validate", run_id="manual__1", run_after=WHY.run_at, triggering_user_name="ada"
    )
    monkeypatch.setattr(validate, "warehouse", warehouse)
    monkeypatch.setattr(validate, "get_current_context", lambda: {"dag_run": run})
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
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


def test_predictions_are_stale_while_a_newer_night_is_stopped(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_marts(warehouse_url)
    execute(
        warehouse_url,
        "insert into ml.model_runs (model, as_of, kind, state, seconds)"
        " values ('kmeans', '1998-06-30', 'infer', 'success', 1)",
    )
    execute(
        warehouse_url,
        "insert into quality.verdicts (as_of, verdict, published)"
        " values ('1998-06-30', 'passed', true)",
    )
    standing = (
        "select model, predictions_as_of, is_stale, stale_because from ml.predictions_standing"
    )
    before = date(1998, 6, 30)
    assert query(warehouse_url, standing) == [("kmeans", before, False, None)]
    execute(warehouse_url, SPOIL)
    judge(warehouse_url, tmp_path)
    ((_, night, stale, because),) = query(warehouse_url, standing)
    assert (night, stale) == (before, True)
    assert because.endswith("e.g. customer_id=C01, recency_score=9)")
    publish(warehouse_url, tmp_path)
    execute(
        warehouse_url,
        "insert into ml.model_runs (model, as_of, kind, state, seconds)"
        f" values ('kmeans', '{NIGHT}', 'infer', 'success', 1)",
    )
    assert query(warehouse_url, standing) == [("kmeans", NIGHT, False, None)]
