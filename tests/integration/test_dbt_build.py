"""The dbt project on real servers: what the marts say about a small shop, and how builds fail."""

import logging
import multiprocessing
import re
import shutil
import threading
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from dags.stages.dbt_build import (
    LAYERS,
    PROJECT,
    WHOLE_DESCRIPTIONS,
    DbtConnectionLostError,
    DbtFailedError,
    Layer,
    build_layer,
    generate_docs,
)
from dags.stages.dbt_state import begin
from dags.stages.gate import GateStoppedError, check_verdict, run_gate
from dags.stages.run_pages import read_verdict
from elt.specs import SPECS
from tests.integration.dbt_support import AS_OF, Raw, build_all, fill_raw, query
from tests.integration.gate_support import make_project

MARTS = [model.stem for model in PROJECT.glob("models/marts/*.sql")]
OLD, MID = date(2024, 2, 1), date(2024, 2, 15)
CUSTOMERS = Raw(
    "raw_mysql.customers",
    [
        # ann moved on the 15th; the older of her two rows lost to the newer one until it went
        dict(row_id=1, customer_id="ann", city="Bonn", updated_at="2024-01-02Z", _valid_from=OLD,
             _valid_to=MID),
        dict(row_id=1, customer_id=" ann ", city="Kiel", updated_at="2024-02-14Z",
             _valid_from=MID, first_name=" Ann ", is_active=1),
        dict(row_id=2, customer_id="ann", city="Rome", updated_at="2024-01-01Z", _valid_from=OLD),
        # bob was deleted on the night of the as_of, carl is deleted on a later one
        dict(row_id=3, customer_id="bob", email="bob@example.com", _valid_from=OLD,
             _valid_to=AS_OF),
        dict(row_id=4, customer_id="carl", phone=" ", _valid_from=OLD, _valid_to="2024-03-02"),
        # dora is not known yet, and two rows have no key, and so no place
        dict(row_id=5, customer_id="dora", _valid_from="2024-03-02"),
        dict(row_id=6, customer_id="  ", _valid_from=OLD),
        dict(row_id=7, customer_id=None, _valid_from=OLD),
    ],
)  # fmt: skip
ORDERS = Raw(
    "raw_mysql.transactions",
    [
        dict(row_id=1, transaction_id="o1", customer_id="ann", order_date="2024-02-29 23:59:59Z",
             total_amount="9.50", discount_amount="0.50", order_status=" Completed ",
             updated_at="2024-02-29Z"),
        dict(row_id=2, transaction_id="o2", customer_id="ann", order_date="2024-03-01 00:00:00Z",
             total_amount=1, order_status="completed"),
        dict(row_id=3, transaction_id="o3", customer_id="ann", order_date="2024-01-10Z",
             total_amount=5, order_status="cancelled"),
        dict(row_id=4, transaction_id="o4", customer_id="bob", order_date="2024-02-01Z",
             total_amount="0.10", order_status="shipped"),
        dict(row_id=5, transaction_id="o5", customer_id="ghost", order_date="2024-02-01Z",
             total_amount=3, order_status="delivered"),
        dict(row_id=6, transaction_id="o6", customer_id="ann", order_date=None, total_amount=3,
             order_status="delivered"),
        # a duplicate: the later updated_at counts, whatever the row id
        dict(row_id=8, transaction_id="o7", customer_id="bob", order_date="2024-02-02Z",
             total_amount=7, order_status="completed", updated_at="2024-02-03Z"),
        dict(row_id=9, transaction_id="o7", customer_id="bob", order_date="2024-02-02Z",
             total_amount=8, order_status="completed", updated_at="2024-02-02Z"),
        # and where they are equal, the higher row id; null is the earliest
        dict(row_id=10, transaction_id="o8", customer_id="bob", order_date="2024-02-02Z",
             total_amount=1, order_status="pending", updated_at="2024-02-02Z"),
        dict(row_id=11, transaction_id="o8", customer_id="bob", order_date="2024-02-02Z",
             total_amount=2, order_status="pending", updated_at="2024-02-02Z"),
        dict(row_id=12, transaction_id="o8", customer_id="bob", order_date="2024-02-02Z",
             total_amount=3, order_status="pending"),
        # an order that the shop deleted
        dict(row_id=13, transaction_id="o9", customer_id="bob", order_date="2024-01-01Z",
             total_amount=99, order_status="completed", _valid_from=OLD, _valid_to=MID),
    ],
)  # fmt: skip
ITEMS = Raw(
    "raw_mysql.transaction_items",
    [
        dict(row_id=1, item_id="i1", transaction_id="o1", quantity=1, line_total="4.00"),
        dict(row_id=2, item_id="i2", transaction_id="o1", quantity=2, line_total="6.00"),
    ],
)
SHOP = [CUSTOMERS, ORDERS, ITEMS]


def broken_copy(tmp_path: Path, file: str, text: str) -> Path:
    """A copy of the project with one file written into it."""
    project = tmp_path / "project"
    if not project.exists():
        shutil.copytree(PROJECT, project)
    (project / file).write_text(text, encoding="utf-8")
    return project


def oids(url: str) -> dict[str, int]:
    """Marts and the identity of their tables, which a rebuild changes."""
    return dict(
        query(url, "select relname::text, oid::bigint from pg_class"
              " where relnamespace = 'marts'::regnamespace and relkind = 'r'")
    )  # fmt: skip


def test_marts_of_a_small_shop(
    warehouse_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_raw(warehouse_url, SHOP)
    with caplog.at_level(logging.INFO, logger="dags.stages"):
        results = build_all(warehouse_url, tmp_path)

    assert query(warehouse_url, """
        select customer_id, city, first_name, email, is_active, valid_from, valid_to, is_current
        from marts.dim_customers order by customer_id, valid_from
    """) == [
        ("ann", "Bonn", None, None, None, OLD, MID, False),
        ("ann", "Kiel", "Ann", None, True, MID, None, True),
        ("bob", None, None, "bob@example.com", None, OLD, AS_OF, False),
        ("carl", None, None, None, None, OLD, None, True),
    ]  # fmt: skip
    assert query(warehouse_url, """
        select order_id, order_status, is_purchase, total_amount::text, item_count,
            items_total::text
        from marts.fct_orders order by order_id
    """) == [
        ("o1", "completed", True, "9.50", 2, "10.00"),
        ("o3", "cancelled", False, "5.00", 0, None),
        ("o4", "shipped", True, "0.10", 0, None),
        ("o6", "delivered", True, "3.00", 0, None),
        ("o7", "completed", True, "7.00", 0, None),
        ("o8", "pending", False, "2.00", 0, None),
    ]  # fmt: skip
    # carl bought nothing; bob is deleted, so his address is gone; the shop never had a ghost
    assert query(warehouse_url, """
        select customer_id, email, first_name, recency_days, frequency, monetary_value::text,
            rfm_score, rfm_segment, customer_lifetime_value::text, avg_order_value::text,
            purchase_frequency_rate::text, as_of
        from marts.customer_rfm order by customer_id
    """) == [
        ("ann", None, "Ann", 1, 1, "9.50", "212", "Hibernating", "115.58", "9.50", "4.055556",
         AS_OF),
        ("bob", None, None, 28, 2, "7.10", "121", "Lost", "86.38", "3.55", "8.111111", AS_OF),
    ]  # fmt: skip
    assert query(warehouse_url, "select customer_id from staging.stg_mysql__customers") == [
        ("ann",), ("carl",)
    ]  # fmt: skip

    # keys that are missing and customers that nobody knows are accounted for, and stop nothing
    assert {result.status for result in results} == {"success", "pass"}
    assert query(warehouse_url, """
        select table_name, rows_in, clean, quarantined_by_rule, deduplicated, deleted
        from marts.data_quality_summary where rows_in > 0 order by table_name
    """) == [
        ("customers", 6, 2, {"customers.key_missing": 2}, 1, 1),
        ("transaction_items", 2, 2, {}, 0, 0),
        ("transactions", 12, 7, {"transactions.customer_unknown": 1}, 3, 1),
    ]  # fmt: skip
    logged = [record.getMessage() for record in caplog.records]
    assert any(
        re.fullmatch(r"dbt model fct_orders success \d+\.\d\d s 6 rows", line) for line in logged
    )
    written = query(warehouse_url, "select as_of, layer, node from quality.dbt_run_results")
    assert {row[:2] for row in written} == {(AS_OF, layer) for layer in LAYERS}
    assert sorted(row[2] for row in written) == sorted(result.node for result in results)
    assert query(warehouse_url, """
        select status, rows_affected from quality.dbt_run_results
        where node = 'model.amato.fct_orders'
    """) == [("success", 6)]  # fmt: skip


def test_result_does_not_depend_on_the_order_in_which_rows_arrived(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url, SHOP)
    build_all(warehouse_url, tmp_path)
    said = "select md5(string_agg(t::text, '|' order by t::text)) from {} t"
    tables = ["marts.dim_customers", "marts.fct_orders", "marts.customer_rfm"]
    before = [query(warehouse_url, said.format(table)) for table in tables]
    with psycopg.connect(warehouse_url) as conn:
        for raw in SHOP:
            conn.execute(f"create temp table t as select * from {raw.table}".encode())
            conn.execute(f"truncate {raw.table}".encode())
            conn.execute(
                f"insert into {raw.table} select * from t order by row_id desc, _valid_from desc"
                .encode()
            )  # fmt: skip
            conn.execute("drop table t")
    build_all(warehouse_url, tmp_path)
    assert [query(warehouse_url, said.format(table)) for table in tables] == before


def test_empty_sources_make_empty_marts_that_the_reading_roles_may_read(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url)
    results = build_all(warehouse_url, tmp_path)
    assert {result.status for result in results} == {"success", "pass"}
    staged = {r.name for r in results if r.name.startswith("stg_")}
    assert {f"stg_{spec.system}__{spec.name}" for spec in SPECS} <= staged
    for role in ("amato_reader", "amato_scientist", "amato_validator"):
        with psycopg.connect(warehouse_url, options=f"-c role={role}") as conn:
            for mart in ("dim_customers", "fct_orders", "customer_rfm", "rfm_segment_summary"):
                assert conn.execute(f"select count(*) from marts.{mart}".encode()).fetchone() == (
                    0,
                )
            conn.execute("select * from marts.data_quality_summary")
    with (
        psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute("select * from staging.stg_mysql__customers")
    with psycopg.connect(warehouse_url, options="-c role=amato_reader") as conn:
        conn.execute("select * from quality.rules, quality.quarantine_events")
    documented = {
        entry["name"]: sorted(column["name"] for column in entry["columns"])
        for file in PROJECT.glob("models/**/*.yml")
        for entry in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", ())
        # what reads raw for cleanup is no table
        if not entry["name"].startswith("base_")
    }
    columns = query(
        warehouse_url,
        "select table_name, array_agg(column_name::text) from information_schema.columns"
        " join pg_tables on schemaname = table_schema and tablename = table_name"
        " where tableowner = 'amato_transformer'"
        " and table_name not in ('rfm_segment_map', 'dbt_run_results', 'builds') group by 1",
    )
    assert {name: sorted(listed) for name, listed in columns} == documented
    # raw can be widened: no view hangs on it
    with psycopg.connect(warehouse_url, options="-c role=amato_loader") as conn:
        conn.execute("alter table raw_mysql.customer_demographics alter household_size type bigint")


def test_a_failure_names_the_node_and_a_retry_builds_only_the_rest(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url, SHOP)
    home = tmp_path / "home"
    build_all(warehouse_url, home)
    good = (PROJECT / "models/marts/fct_orders.sql").read_text(encoding="utf-8")
    broken = good.replace("item_count,", "item_count / 0 as item_count,")
    project = broken_copy(tmp_path, "models/marts/fct_orders.sql", broken)

    def marts() -> list[str]:
        built = build_layer("marts", AS_OF, home, warehouse_url, project)
        return [r.name for r in built if r.resource_type in ("model", "seed")]

    before = oids(warehouse_url)
    with pytest.raises(DbtFailedError) as error:
        marts()
    first_line = str(error.value).splitlines()[0]
    assert first_line.startswith("marts: 1 failed, ")
    assert "model fct_orders: " in first_line and "division by zero" in first_line
    assert not isinstance(error.value, DbtConnectionLostError)
    failed = oids(warehouse_url)
    # a failed build leaves the old table; what does not hang on it is new
    assert failed["fct_orders"] == before["fct_orders"]
    assert failed["dim_customers"] != before["dim_customers"]
    assert statuses(warehouse_url, "fct_orders", "dim_customers") == ["success", "error"]

    broken_copy(tmp_path, "models/marts/fct_orders.sql", good)
    assert marts() == ["fct_orders"]
    mended = oids(warehouse_url)
    assert {name for name in mended if mended[name] != failed[name]} == {"fct_orders"}
    assert statuses(warehouse_url, "fct_orders", "dim_customers") == ["success", "success"]
    # it was mended: the next run builds everything again
    everything = sorted([*MARTS, "rfm_segment_map"])
    from_customers = [
        "customer_features", "customer_rfm", "customer_rfm_history", "rfm_segment_migration",
        "rfm_segment_summary",
    ]  # fmt: skip
    assert sorted(marts()) == everything

    # a failed test: its model is built again, and what hangs on that, though nothing was edited
    test = "select * from {{ ref('customer_rfm') }} where customer_id = 'ann'"
    broken_copy(tmp_path, "tests/assert_nobody_is_ann.sql", test)
    for names in (everything, from_customers):
        with pytest.raises(
            DbtFailedError, match=r"test assert_nobody_is_ann: Got 1 result"
        ) as error:
            marts()
        built = {r.name: r.status for r in error.value.results if r.name in everything}
        assert sorted(built) == names
        assert built["customer_rfm"] == "success"
        assert built["rfm_segment_summary"] == "skipped"
    # a run of the layer below may have changed what the marts read; so may a run that was killed
    build_layer("intermediate", AS_OF, home, warehouse_url, project)
    with pytest.raises(DbtFailedError) as error:
        marts()
    assert len({r.name for r in error.value.results} & set(everything)) == len(everything)
    with psycopg.connect(warehouse_url) as conn:
        assert begin("marts", AS_OF, home, conn, "")[0] is not None
    with pytest.raises(DbtFailedError) as error:
        marts()
    assert len({r.name for r in error.value.results} & set(everything)) == len(everything)


def test_a_build_of_any_layer_voids_the_verdict_on_its_night(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url)
    home = tmp_path / "home"
    build_all(warehouse_url, home)
    good = (PROJECT / "models/marts/fct_orders.sql").read_text(encoding="utf-8")
    project = broken_copy(
        tmp_path, "models/marts/fct_orders.sql", good.replace("item_count,", "no_such_column,")
    )

    suites = make_project(tmp_path / "gx", "customer_rfm")

    def built_again(layer: Layer) -> None:
        build_layer(layer, AS_OF, home, warehouse_url)

    def built_in_vain(layer: Layer) -> None:
        with pytest.raises(DbtFailedError, match="no_such_column"):
            build_layer(layer, AS_OF, home, warehouse_url, project)

    for build, layer in (
        *((built_again, layer) for layer in LAYERS),
        (built_in_vain, "marts"),
    ):
        assert run_gate(AS_OF, home, warehouse_url, suites).verdict == "passed"
        with psycopg.connect(warehouse_url) as conn:
            check_verdict(conn, AS_OF)
        assert (read_verdict(home, AS_OF) or {})["verdict"] == "passed"
        build(layer)
        with (
            psycopg.connect(warehouse_url) as conn,
            pytest.raises(GateStoppedError, match="built again after they were validated"),
        ):
            check_verdict(conn, AS_OF)
        assert read_verdict(home, AS_OF) is None


def statuses(url: str, *names: str) -> list[str]:
    listed = ", ".join(f"'model.amato.{name}'" for name in names)
    rows = query(url, f"select status from quality.dbt_run_results where node in ({listed})"
                 " order by node")  # fmt: skip
    return [row[0] for row in rows]


def test_two_builds_at_once_and_a_build_in_a_forked_process(
    warehouse_url: str, tmp_path: Path
) -> None:
    fill_raw(warehouse_url, SHOP)
    build_layer("staging", AS_OF, tmp_path, warehouse_url)
    # Airflow runs a task in a process forked from one that may have used dbt before.
    context: Any = multiprocessing.get_context("fork")
    children = [
        context.Process(target=build_layer, args=("staging", AS_OF, tmp_path, warehouse_url))
        for _ in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=120)
    assert [child.exitcode for child in children] == [0, 0]
    assert query(warehouse_url, "select count(*) from staging.stg_mysql__transactions") == [(7,)]


def test_a_lost_connection_may_be_retried_and_shows_no_password(
    warehouse_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_raw(warehouse_url, SHOP)
    # A model that takes a minute, whose session somebody ends as soon as it is seen to run.
    good = (PROJECT / "models/marts/rfm_segment_summary.sql").read_text(encoding="utf-8")
    project = broken_copy(
        tmp_path,
        "models/marts/rfm_segment_summary.sql",
        good.replace("from customers", "from customers cross join pg_sleep(60)"),
    )
    home = tmp_path / "home"
    ender = threading.Thread(target=end_session_that_sleeps, args=(warehouse_url,))
    build_layer("staging", AS_OF, home, warehouse_url, project)
    build_layer("intermediate", AS_OF, home, warehouse_url, project)
    ender.start()
    with pytest.raises(DbtConnectionLostError, match="rfm_segment_summary") as error:
        build_layer("marts", AS_OF, home, warehouse_url, project)
    ender.join()
    assert isinstance(error.value, ConnectionError)
    password = urlsplit(warehouse_url).password
    assert password
    written = [p for p in home.rglob("*") if p.is_file()]
    assert written
    assert not [p for p in written if password.encode() in p.read_bytes()]
    assert password not in caplog.text


def end_session_that_sleeps(url: str) -> None:
    """Wait until dbt's session runs pg_sleep(60) in this database, and end that session."""
    with psycopg.connect(url, autocommit=True) as conn:
        while not conn.execute("""
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name = 'dbt'
                and wait_event = 'PgSleep'
        """).fetchone():
            pass


def test_docs_are_one_page_that_needs_no_network(warehouse_url: str, tmp_path: Path) -> None:
    fill_raw(warehouse_url)
    build_all(warehouse_url, tmp_path)
    page = generate_docs(AS_OF, tmp_path, warehouse_url)
    assert page == tmp_path / "docs" / "index.html"
    assert [p.name for p in page.parent.iterdir()] == ["index.html"]
    text = page.read_text(encoding="utf-8")
    assert "One row per customer with at least one purchase before as_of" in text
    assert "AMATO's warehouse" in text
    assert "cloudfront" not in text
    assert text.count(WHOLE_DESCRIPTIONS) == 1
    assert str(urlsplit(warehouse_url).password) not in text
    # nothing that a browser fetches by itself comes from another place than the page
    fetched = re.findall(
        r"""<(?:script|link|img)[^>]*?\s(?:src|href)=["']?(\S*//[^"'>\s]+)""", text
    )
    assert fetched == []
    assert not re.search(r"""\.src\s*=\s*["'](?:https?:)?//""", text)
