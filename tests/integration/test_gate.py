"""The gate on a real warehouse: what it lets pass, what it stops, and what it says."""

import gc
import os
import re
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from dags.stages.gate import (
    PROJECT,
    GateResult,
    GateStoppedError,
    check_verdict,
    enforce,
    run_gate,
    validation_page,
    verdict_file,
    write_unjudged_file,
)
from dags.stages.gate_builds import BUILD_LOCK, note_build
from local_stack.summary import read_verdict
from tests.integration.gate_support import NIGHT, execute, make_marts, make_project

RFM = "update marts.customer_rfm set"
# Expectation, what breaks it, the rows it must count, and whether others must fail with it.
SPOILED = [
    ("required_columns", "alter table marts.customer_rfm rename email to mail", None),
    ("one_row_per_customer", f"{RFM} customer_id = 'C01' where customer_id = 'C02'", 2),
    ("customer_id_is_known", f"{RFM} customer_id = null where customer_id = 'C02'", 1),
    ("recency_days_is_known", f"{RFM} recency_days = null where frequency > 8", 3),
    ("frequency_is_known", f"{RFM} frequency = null where customer_id = 'C02'", 1),
    ("monetary_value_is_known", f"{RFM} monetary_value = null where customer_id = 'C02'", 1),
    ("recency_score_is_known", f"{RFM} recency_score = null where customer_id = 'C02'", 1),
    ("frequency_score_is_known", f"{RFM} frequency_score = null where customer_id = 'C02'", 1),
    ("monetary_score_is_known", f"{RFM} monetary_score = null where customer_id = 'C02'", 1),
    ("rfm_score_is_known", f"{RFM} rfm_score = null where customer_id = 'C02'", 1),
    ("rfm_segment_is_known", f"{RFM} rfm_segment = null where customer_id = 'C02'", 1),
    ("customer_lifetime_value_is_known", f"{RFM} customer_lifetime_value = null", 11),
    ("avg_order_value_is_known", f"{RFM} avg_order_value = null where frequency = 1", 1),
    ("purchase_frequency_rate_is_known", f"{RFM} purchase_frequency_rate = null", 11),
    ("recency_score_in_range", f"{RFM} recency_score = 6 where recency_score = 5", 2),
    ("frequency_score_in_range", f"{RFM} frequency_score = 0 where frequency_score = 1", 2),
    ("monetary_score_in_range", f"{RFM} monetary_score = 6 where customer_id = 'C03'", 1),
    ("rfm_score_has_three_digits", f"{RFM} rfm_score = '5555' where customer_id = 'C04'", 1),
    ("rfm_segment_is_one_of_eleven", f"{RFM} rfm_segment = 'Whale' where frequency < 3", 2),
    ("recency_days_not_negative", f"{RFM} recency_days = -1 where customer_id = 'C02'", 1),
    ("frequency_at_least_one", f"{RFM} frequency = 0 where customer_id = 'C01'", 1),
    ("monetary_value_not_negative", f"{RFM} monetary_value = -0.01 where frequency = 1", 1),
    ("avg_order_value_not_negative", f"{RFM} avg_order_value = -1 where frequency = 1", 1),
    ("customer_lifetime_value_not_negative", f"{RFM} customer_lifetime_value = -1", 11),
    ("purchase_frequency_rate_not_negative", f"{RFM} purchase_frequency_rate = -0.1", 11),
    ("shows_this_night", f"{RFM} as_of = '1998-06-30'", 11),
    ("rfm_score_spells_its_parts", f"{RFM} rfm_score = '123' where customer_id = 'C02'", 1),
    ("avg_order_value_is_spend_per_order", f"{RFM} avg_order_value = 9 where frequency < 3", 2),
    ("not_empty_when_there_are_purchases", "delete from marts.customer_rfm", 1),
    ("frequency_adds_up_to_orders", "delete from marts.fct_orders where order_id = 'C02-0'", 1),
    ("monetary_value_adds_up_to_orders",
     "update marts.fct_orders set total_amount = 1.02 where order_id = 'C01-0'", 1),
    ("every_buyer_is_listed", "delete from marts.customer_rfm where frequency < 3", 2),
    ("every_customer_is_in_dim_customers",
     "delete from marts.dim_customers where customer_id = 'C05'", 1),
    ("purchases_have_customer_and_date",
     "insert into marts.fct_orders values ('x', null, '1998-06-01', true, 5),"
     " ('y', 'C01', null, true, 5)", 2),
    ("email_mostly_known", f"{RFM} email = null where frequency < 4", 1),
]  # fmt: skip


# What looks at the table's own history has cases of its own (tests/faults).
LEARNING = {
    "still_holds_rows",
    "row_count_moves_as_usual",
    "row_count_holds",
    "columns_are_filled_as_usual",
    "columns_are_as_empty_as_usual",
    "column_means_hold",
    "categories_hold_their_shares",
}


def rfm_project(home: Path) -> Path:
    return make_project(home.with_name(f"{home.name}_gx"), "customer_rfm")


def judge(url: str, home: Path, night: date = NIGHT) -> GateResult:
    return run_gate(night, home, url, rfm_project(home))


def failed(result: GateResult) -> set[str]:
    return {outcome.name for outcome in result.outcomes if outcome.success is False}


def recorded(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(
            "select as_of, suite, table_name, expectation, column_name, severity, success, error,"
            " observed, unexpected_count, rows_checked from quality.validation_results order by 4"
        ).fetchall()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_good_marts_pass_and_the_repository_is_left_alone(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_marts(warehouse_url)
    before = contents(PROJECT)
    result = judge(warehouse_url, tmp_path)
    assert failed(result) == set()
    assert result.verdict == "passed"
    enforce(result)
    assert contents(PROJECT) == before
    assert {o.rows_checked for o in result.outcomes} == {11, None}
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        assert check_verdict(conn, NIGHT) == result


def test_the_gate_leaves_no_session_open(warehouse_url: str, tmp_path: Path) -> None:
    """GX itself leaves its sessions to Python's collector."""
    make_marts(warehouse_url)
    gc.disable()
    try:
        judge(warehouse_url, tmp_path)
        with psycopg.connect(warehouse_url) as conn:
            others = conn.execute(
                "select query from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and backend_type = 'client backend'"
            ).fetchall()
    finally:
        gc.enable()
    assert others == []


def test_every_expectation_is_spoiled_below(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    names = [outcome.name for outcome in judge(warehouse_url, tmp_path).outcomes]
    assert set(names) == {name for name, _, _ in SPOILED} | LEARNING
    assert len(names) == 42


@pytest.mark.parametrize(("name", "statement", "rows"), SPOILED, ids=[s[0] for s in SPOILED])
def test_each_expectation_fails_on_what_it_is_there_for(
    warehouse_url: str, tmp_path: Path, name: str, statement: str, rows: int | None
) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, statement)
    result = judge(warehouse_url, tmp_path)
    outcome = next(o for o in result.outcomes if o.name == name)
    assert outcome.success is False
    assert outcome.unexpected_count == rows
    if outcome.severity == "critical":
        assert outcome.stops
        with pytest.raises(GateStoppedError):
            enforce(result)
    elif outcome.severity == "warning":
        assert not outcome.stops
        assert result.verdict in {"passed_with_warnings", "failed"}
    else:
        assert failed(result) == {name}
        assert result.verdict == "passed"
    if rows is not None:
        assert outcome.observed["examples"]


def test_empty_marts_of_a_shop_that_sold_nothing_pass(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url, customers=0)
    assert judge(warehouse_url, tmp_path).verdict == "passed"
    execute(
        warehouse_url, "insert into marts.fct_orders values ('c', 'C01', '1998-06-01', false, 9)"
    )
    assert judge(warehouse_url, tmp_path).verdict == "passed"


def test_empty_rfm_of_a_shop_with_purchases_is_critical(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, "delete from marts.customer_rfm")
    result = judge(warehouse_url, tmp_path)
    assert result.verdict == "failed"
    assert failed(result) == {
        "not_empty_when_there_are_purchases",
        "frequency_adds_up_to_orders",
        "monetary_value_adds_up_to_orders",
        "every_buyer_is_listed",
    }


def test_the_first_line_says_what_where_and_how_many(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, f"{RFM} rfm_segment = 'Whale' where frequency < 3")
    with pytest.raises(GateStoppedError) as stopped:
        enforce(judge(warehouse_url, tmp_path))
    assert str(stopped.value).splitlines()[0] == (
        "night 1998-07-01 is stopped: rfm_segment_is_one_of_eleven failed on marts.customer_rfm"
        " (2 of 11 rows; e.g. customer_id=C01, rfm_segment=Whale); look at Data Docs, /amato/"
        "data_docs/validations/customer_rfm/1998-07-01/19980701T000000.000000Z/"
        "warehouse-customer_rfm.html"
    )
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        with pytest.raises(GateStoppedError) as read_back:
            check_verdict(conn, NIGHT)
        assert str(read_back.value) == str(stopped.value)
        with pytest.raises(GateStoppedError, match="never validated"):
            check_verdict(conn, NIGHT.replace(year=1999))


def test_sums_that_differ_are_named(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, "delete from marts.fct_orders where order_id = 'C02-0'")
    result = judge(warehouse_url, tmp_path)
    finding = next(o for o in result.outcomes if o.name == "frequency_adds_up_to_orders").finding()
    assert finding.endswith("(e.g. frequency_total=66, purchases=65)")


@pytest.mark.parametrize(
    ("statement", "name", "reason"),
    [
        (
            "alter table marts.customer_rfm drop column recency_score",
            "recency_score_in_range",
            "recency_score",
        ),
        ("drop table marts.fct_orders", "frequency_adds_up_to_orders", "marts.fct_orders"),
        ("drop table marts.customer_rfm", "one_row_per_customer", "marts.customer_rfm"),
        (
            "revoke select on marts.fct_orders from amato_validator",
            "every_buyer_is_listed",
            "permission denied",
        ),
        (
            "alter table marts.customer_rfm alter frequency type text",
            "frequency_at_least_one",
            "cannot be computed on column of type TEXT",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_not_a_failure(
    warehouse_url: str, tmp_path: Path, statement: str, name: str, reason: str
) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, statement)
    result = judge(warehouse_url, tmp_path)
    outcome = next(o for o in result.outcomes if o.name == name)
    assert result.verdict == "error"
    assert outcome.success is None
    assert reason in (outcome.error or "")
    assert outcome.unexpected_count is None
    with pytest.raises(GateStoppedError, match="could not be evaluated"):
        enforce(result)
    row = next(row for row in recorded(warehouse_url) if row[3] == name)
    assert row[6] is None and row[7] == outcome.error


def test_a_second_run_replaces_the_first(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, f"{RFM} rfm_segment = 'Whale' where frequency < 3")
    judge(warehouse_url, tmp_path)
    files = set(contents(tmp_path))
    execute(warehouse_url, f"{RFM} rfm_segment = 'Lost' where frequency < 3")
    assert judge(warehouse_url, tmp_path).verdict == "passed"
    rows = recorded(warehouse_url)
    assert judge(warehouse_url, tmp_path).verdict == "passed"
    assert recorded(warehouse_url) == rows
    assert len(rows) == 42
    assert set(contents(tmp_path)) == files
    assert '"verdict": "passed"' in verdict_file(tmp_path, NIGHT).read_text()


def test_nights_keep_their_results_and_pages(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    judge(warehouse_url, tmp_path)
    later = NIGHT.replace(day=2)
    assert judge(warehouse_url, tmp_path, later).verdict == "failed"  # marts show NIGHT
    with psycopg.connect(warehouse_url) as conn:
        assert check_verdict(conn, NIGHT).verdict == "passed"
        with pytest.raises(GateStoppedError, match="shows_this_night"):
            check_verdict(conn, later)
    index = (tmp_path / "data_docs" / "index.html").read_text()
    for night in (NIGHT, later):
        page = validation_page("customer_rfm", night)
        assert (tmp_path / page).is_file()
        assert page.removeprefix("data_docs/") in index


def test_a_broken_run_leaves_no_old_verdict(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    judge(warehouse_url, tmp_path)
    with pytest.raises(FileNotFoundError, match="not_there"):
        run_gate(NIGHT, tmp_path, warehouse_url, project=tmp_path / "not_there")
    with psycopg.connect(warehouse_url) as conn, pytest.raises(GateStoppedError, match="never"):
        check_verdict(conn, NIGHT)
    assert read_verdict(tmp_path, NIGHT) == "not validated"


def test_the_gate_waits_for_a_build_and_a_later_build_voids_its_verdict(
    warehouse_url: str, tmp_path: Path
) -> None:
    make_marts(warehouse_url)
    waiting = """
        select count(*) from pg_locks
        where locktype = 'advisory' and not granted and database = (
            select oid from pg_database where datname = current_database()
        )
    """
    gate = threading.Thread(target=judge, args=(warehouse_url, tmp_path))
    with psycopg.connect(
        warehouse_url, options="-c role=amato_transformer", autocommit=True
    ) as build:
        build.execute(f"select pg_advisory_lock({BUILD_LOCK})".encode())
        gate.start()
        while build.execute(waiting.encode()).fetchone() == (0,):
            assert gate.is_alive(), "the gate judged marts that were being built"
        note_build(build, "marts", NIGHT)
    gate.join()
    with psycopg.connect(
        warehouse_url, options="-c role=amato_transformer", autocommit=True
    ) as build:
        note_build(build, "marts", NIGHT.replace(day=2))
        assert check_verdict(build, NIGHT).verdict == "passed"
        note_build(build, "staging", NIGHT)
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        with pytest.raises(GateStoppedError) as stopped:
            check_verdict(conn, NIGHT)
        assert str(stopped.value).splitlines()[0] == (
            "night 1998-07-01 is stopped: the marts were built again after they were validated: "
            "run validate with as_of 1998-07-01"
        )
    judge(warehouse_url, tmp_path)
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        assert check_verdict(conn, NIGHT).verdict == "passed"


def test_the_summary_names_the_verdict_as_the_gate_does(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    assert read_verdict(tmp_path, NIGHT) == "not validated"
    for statement, word in (
        ("select 1", "passed"),
        (f"{RFM} customer_lifetime_value = -1", "passed with warnings"),
        (f"{RFM} frequency = null where customer_id = 'C02'", "failed"),
        ("drop table marts.fct_orders", "error"),
    ):
        execute(warehouse_url, statement)
        result = judge(warehouse_url, tmp_path)
        held = sum(outcome.success is True for outcome in result.outcomes)
        applicable = sum(outcome.state != "not_applicable" for outcome in result.outcomes)
        assert read_verdict(tmp_path, NIGHT) == (
            f"{word}: {held} of {applicable} expectations hold"
        )
    write_unjudged_file(tmp_path, NIGHT)  # what a dbt build begins with
    assert read_verdict(tmp_path, NIGHT) == "not validated"


def test_pages_fetch_nothing_and_hold_no_password(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    execute(warehouse_url, "drop table marts.fct_orders")
    password = "s3cr$t/${HOME}%41 p@ss"
    login = f"gate_{os.getpid()}"
    url = urlsplit(warehouse_url)
    with psycopg.connect(warehouse_url, autocommit=True) as conn:
        conn.execute(f"create role {login} login password '{password}' in role amato_validator")
    try:
        quoted = "s3cr%24t%2F%24%7BHOME%7D%2541%20p%40ss"
        address = url._replace(netloc=f"{login}:{quoted}@{url.netloc.rsplit('@', 1)[1]}")
        assert judge(address.geturl(), tmp_path).verdict == "error"
    finally:
        execute(warehouse_url, f"drop role {login}")
    pages = [path for path in contents(tmp_path) if path.suffix in {".html", ".json", ".css"}]
    assert len([path for path in pages if path.suffix == ".html"]) == 3
    for path in contents(tmp_path):
        content = path.read_bytes()
        for secret in (password, quoted, "s3cr"):
            assert secret.encode() not in content, path
    for page in pages:
        if "vendor" not in page.parts and page.suffix == ".html":
            text = page.read_text()
            for mark in (
                'src="http',
                "src='http",
                "url('http",
                '<link rel="stylesheet" href="http',
            ):
                assert mark not in text, (page, mark)
            assert "static/vendor/jquery.min.js" in text
            assert 'href="https://unpkg' not in text


def test_local_references_of_the_pages_exist(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url)
    judge(warehouse_url, tmp_path)
    site = tmp_path / "data_docs"
    seen = set()
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:src|href)="([^"#]+)"', page.read_text()):
            if not target.startswith(("http", "mailto", "javascript")):
                path = (page.parent / target.split("?")[0]).resolve()
                assert path.is_file(), (page, target)
                seen.add(path.name)
    assert {"jquery.min.js", "bootstrap-prefers-dark.min.css", "fontawesome.min.css"} <= seen
    assert (site / "static/vendor/webfonts/fa-solid-900.woff2").is_file()


def test_a_cold_process_judges_in_seconds(warehouse_url: str, tmp_path: Path) -> None:
    """The import of GX counted. The limit is loose; it is there to notice a page that hangs."""
    make_marts(warehouse_url)
    code = (
        "import sys, pathlib, datetime; from dags.stages.gate import run_gate;"
        "assert 'great_expectations' not in sys.modules;"
        "print(run_gate(datetime.date(1998, 7, 1), pathlib.Path(sys.argv[1]),"
        " sys.stdin.read(), pathlib.Path(sys.argv[2])).verdict)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(rfm_project(tmp_path))],
        input=warehouse_url, capture_output=True, text=True, timeout=60, cwd=PROJECT.parent,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["passed"], done.stderr


def test_an_unreachable_warehouse_is_not_a_verdict(tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError) as refused:
        run_gate(NIGHT, tmp_path, "postgresql://someone:hidden@127.0.0.1:1/warehouse")
    assert "hidden" not in str(refused.value)
