"""`make run` on the CDNOW sales file, against pandas arithmetic that shares no code with it."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import requests

from local_stack.airflow_api import AirflowApi
from ml.catalogue import FAMILIES

# Some of these run whole nights more than once, each with all models.
pytestmark = pytest.mark.timeout(1800)

FILE = Path("tests/data/CDNOW_master.txt.gz")
ARGUMENTS = {"SALES_CSV": str(FILE), "AS_OF": "1998-07-01"}
AS_OF = pd.Timestamp("1998-07-01")
# Published: one line a purchase; without an order column an order is a customer's day.
CUSTOMERS, ORDERS, LINES, DOLLARS = 23_570, 67_591, 69_659, Decimal("2500315.63")


@pytest.fixture(scope="module")
def first_run(sales_platform):
    output = sales_platform.must("run", **ARGUMENTS)
    return output, sales_platform.summary(), sales_platform.checksums()


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    """Recency, frequency and monetary value in cents, by customer."""
    with gzip.open(Path(__file__).parents[2] / FILE, "rt") as handle:
        rows = [line.split() for line in handle.read().splitlines()[1:]]
    lines = pd.DataFrame(rows, columns=["customer_id", "day", "cds", "dollars"])
    lines["day"] = pd.to_datetime(lines["day"], format="%Y%m%d")
    lines["cents"] = lines["dollars"].str.replace(".", "", regex=False).astype(int)
    groups = lines.groupby("customer_id")
    return pd.DataFrame(
        {
            "recency_days": (AS_OF - groups["day"].max()).dt.days,
            "frequency": groups["day"].nunique(),
            "cents": groups["cents"].sum(),
        }
    )


def test_customer_rfm_equals_independent_arithmetic(sales_platform, first_run, expected):
    assert len(expected) == CUSTOMERS
    with sales_platform.warehouse() as conn:
        rows = conn.execute(
            "select customer_id, recency_days, frequency, (monetary_value * 100)::bigint,"
            " recency_score, frequency_score, monetary_score from marts.customer_rfm"
        ).fetchall()
    columns = ["customer_id", "recency_days", "frequency", "cents", "r", "f", "m"]
    found = pd.DataFrame(rows, columns=columns).set_index("customer_id").sort_index()
    assert list(found.index) == sorted(expected.index)
    for column in ("recency_days", "frequency", "cents"):
        assert (found[column] == expected[column].sort_index()).all(), column
    # Quintiles: five groups of a fifth each, the best customers in the fifth.
    for score, column, best in (
        ("r", "recency_days", "min"),
        ("f", "frequency", "max"),
        ("m", "cents", "max"),
    ):
        sizes = found[score].value_counts()
        assert sorted(sizes.index) == [1, 2, 3, 4, 5]
        assert sizes.max() - sizes.min() <= 1
        extreme = getattr(found[column], best)()
        assert 5 in set(found.loc[found[column] == extreme, score])


def test_published_totals(sales_platform, first_run):
    with sales_platform.warehouse() as conn:
        row = conn.execute(
            "select count(*), sum(monetary_value), sum(frequency) from marts.customer_rfm"
        ).fetchone()
        assert row == (CUSTOMERS, DOLLARS, ORDERS)
        lines = conn.execute("select count(*) from raw_mysql.transaction_items").fetchone()
        assert lines == (LINES,)


def test_sources_that_stay_empty_give_empty_tables(first_run):
    _, summary, _ = first_run
    rows = summary["rows"]["raw"]
    empty = {name for name, count in rows.items() if not name.startswith("raw_mysql.")}
    assert len(empty) == 9
    assert all(rows[name] == 0 for name in empty)


def test_the_summary_tells_all(first_run):
    output, summary, _ = first_run
    assert summary["state"] == "success"
    assert summary["verdict"].startswith("passed")
    assert {model["kind"] for model in summary["models"]} == {"train", "infer"}
    states = {(model["model"], model["kind"]): model["state"] for model in summary["models"]}
    assert set(states) == {(model, kind) for model in FAMILIES for kind in ("train", "infer")}
    # Marketing and clickstream are empty: what learns from them says so, and is no failure.
    without = {"ctr", "success", "budget"}
    assert {model for (model, _), state in states.items() if state == "not_applicable"} == without
    assert {model for (model, _), state in states.items() if state == "success"} == (
        set(FAMILIES) - without
    )
    assert all(
        (model["rows"] > 0) == (model["model"] not in without) or model["kind"] == "train"
        for model in summary["models"]
    )
    for stage in ("import_sales_csv", "extract_load", "transform", "validate"):
        assert summary["seconds"][stage] > 0
    assert "load_mysql_shop[transactions]" in output
    assert summary["addresses"]["Airflow"].startswith("http://127.0.0.1:")


def test_mlflow_has_the_champion_of_every_model(sales_platform, first_run):
    _, summary, _ = first_run
    urls = sales_platform.urls()
    assert summary["addresses"]["MLflow"].startswith(f"{urls['MLFLOW_TRACKING_URI']} ")
    login = (urls["MLFLOW_TRACKING_USERNAME"], urls["MLFLOW_TRACKING_PASSWORD"])
    address = f"{urls['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/alias"
    with sales_platform.warehouse() as conn:
        champions = dict(
            conn.execute("select model, version from ml.model_versions where is_champion")
        )
    assert champions
    for model, version in champions.items():
        query = {"name": model, "alias": "champion"}
        answer = requests.get(address, query, auth=login, timeout=30)
        answer.raise_for_status()
        tags = {tag["key"]: tag["value"] for tag in answer.json()["model_version"]["tags"]}
        assert tags["amato.version"] == version


def test_no_secret_is_written_down(sales_platform, first_run):
    """Neither printed, nor in the summary, nor in any log of a server or a task."""
    output, _, _ = first_run
    root = sales_platform.root
    secrets = json.loads((root / "secrets.json").read_text()).values()
    logs = [path for path in (root / "logs").rglob("*") if path.is_file()]
    tasks = [path for path in (root / "airflow" / "logs").rglob("*.log") if path.is_file()]
    assert len(logs) >= 7
    assert len(tasks) >= 30
    places = {"output": output, "summary": (root / "run_summary.json").read_text()}
    places |= {str(path): path.read_text(errors="replace") for path in (*logs, *tasks)}
    assert [name for name, text in places.items() if any(value in text for value in secrets)] == []


def test_a_world_that_ended_has_no_schedule(sales_platform, first_run):
    urls = sales_platform.urls()
    api = AirflowApi(urls["AIRFLOW_URL"], urls["AIRFLOW_USER"], urls["AIRFLOW_PASSWORD"])
    assert api.schedule("nightly") is None


def test_a_second_run_changes_no_table(sales_platform, first_run):
    _, _, before = first_run
    assert len(before) >= 15 + 15 + 4 + 3
    sales_platform.must("run", **ARGUMENTS)
    assert sales_platform.checksums() == before


def test_another_world_is_refused(sales_platform, first_run):
    done = sales_platform.command("run", AS_OF="1998-07-01", SCALE="0.01")
    assert done.returncode != 0
    assert "make clean" in done.stdout + done.stderr


def test_down_and_up_bring_all_of_it_back(sales_platform, first_run):
    _, _, before = first_run
    sales_platform.must("down")
    sales_platform.must("up")
    assert sales_platform.checksums() == before


def test_a_failed_task_ends_the_run_with_its_log(sales_platform, first_run):
    """A source table that vanished: the run says which task, and what its log says."""
    import MySQLdb

    from tests.conftest import mysql_arguments

    _, _, before = first_run
    shop = MySQLdb.connect(**mysql_arguments(sales_platform.urls()["MYSQL_URL"]))
    shop.query("rename table customer_segments to customer_segments_gone")
    try:
        done = sales_platform.command("run", **ARGUMENTS)
    finally:
        shop.query("rename table customer_segments_gone to customer_segments")
        shop.close()
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "load_mysql_shop[customer_segments] failed" in text
    assert "customer_segments" in text.split("Its log ends:")[1]
    assert "Traceback" not in done.stderr
    sales_platform.must("run", **ARGUMENTS)
    assert sales_platform.checksums() == before
