"""`make run` on the small generated shop: every source has data, and the UI shows all of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import requests

from local_stack import airflow_api
from local_stack.airflow_api import AirflowApi
from ml.catalogue import FAMILIES
from tests.e2e.conftest import REPOSITORY

# Some of these run whole nights more than once, each with all models.
pytestmark = pytest.mark.timeout(1800)

SCALE = "0.02"
AS_OF, NEXT_NIGHT = "2024-07-01", "2024-07-03"


@pytest.fixture(scope="module")
def summary(shop_platform):
    shop_platform.must("run", SCALE=SCALE, AS_OF=AS_OF, SEED="7")
    return shop_platform.summary()


@pytest.fixture(scope="module")
def airflow(shop_platform, summary):
    urls = shop_platform.urls()
    session = requests.Session()
    login = {"username": urls["AIRFLOW_USER"], "password": urls["AIRFLOW_PASSWORD"]}
    token = session.post(f"{urls['AIRFLOW_URL'].rstrip('/')}/auth/token", json=login, timeout=60)
    token.raise_for_status()
    session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
    return urls["AIRFLOW_URL"].rstrip("/"), session


def test_every_source_has_data(summary):
    raw = summary["rows"]["raw"]
    assert len(raw) == 15
    assert all(count > 0 for count in raw.values()), raw
    assert raw["raw_mysql.customers"] == 200
    marts = summary["rows"]["marts"]
    models = (REPOSITORY / "dbt_project/models/marts").glob("*.sql")
    assert {f"marts.{model.stem}" for model in models} <= set(marts)
    assert summary["verdict"].startswith("passed")


def test_every_source_row_is_in_raw_or_rejected(shop_platform, summary):
    """Counts, by each source's own count; of the documents, some cannot be decoded."""
    import MySQLdb
    import psycopg
    import pymongo

    from tests.conftest import mysql_arguments

    urls = shop_platform.urls()
    raw = summary["rows"]["raw"]
    shop = MySQLdb.connect(**mysql_arguments(urls["MYSQL_URL"]))
    cursor = shop.cursor()
    with psycopg.connect(urls["MARKETING_URL"]) as marketing:
        for name, count in raw.items():
            schema, table = name.split(".")
            if schema == "raw_mysql":
                cursor.execute(f"select count(*) from {table}")
                assert cursor.fetchone() == (count,), name
            elif schema == "raw_postgres":
                assert marketing.execute(f"select count(*) from {table}").fetchone() == (count,)
    shop.close()
    with shop_platform.warehouse() as conn:
        rejected = dict(
            conn.execute(
                "select source_table, count(*) from elt.rejected_rows"
                " where source_system = 'mongo' and resolved_at is null group by source_table"
            ).fetchall()
        )
    with pymongo.MongoClient(urls["MONGO_URL"]) as client:
        database = client.get_default_database()
        for name, count in raw.items():
            schema, table = name.split(".")
            if schema == "raw_mongo":
                read = database[table].count_documents({})
                assert read == count + rejected.get(table, 0), name


def test_the_chain_is_one_successful_run(airflow, summary):
    base, session = airflow
    runs = session.get(f"{base}/api/v2/dags/nightly/dagRuns", timeout=60).json()["dag_runs"]
    assert [run["state"] for run in runs] == ["success"]


def test_all_tasks_of_a_run_are_seen_page_by_page(shop_platform, summary, monkeypatch):
    urls = shop_platform.urls()
    api = AirflowApi(urls["AIRFLOW_URL"], urls["AIRFLOW_USER"], urls["AIRFLOW_PASSWORD"])
    run_id = summary["addresses"]["This night"].rsplit("/", 1)[-1]
    whole = api.run_state("nightly", run_id)
    monkeypatch.setattr(airflow_api, "PAGE", 7)
    assert api.run_state("nightly", run_id) == whole
    # the mapped loads, each model's training and scoring, and the other tasks
    assert len(whole.tasks) == 15 + 2 * len(FAMILIES) + 16
    api.require_health()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/", "dbt"),
        ("data_docs/", "customer_rfm"),
        ("reports/", "kmeans"),
        ("reports/", "reports/world.html"),
        ("reports/world.html", "The generated company"),
    ],
)
def test_pages_stand_behind_the_login(airflow, path, text):
    base, session = airflow
    page = session.get(f"{base}/amato/{path}", timeout=60)
    assert page.status_code == 200
    assert text in page.text
    stranger = requests.get(f"{base}/amato/{path}", timeout=60, allow_redirects=False)
    assert stranger.status_code in (302, 303, 307, 401, 403)
    assert text not in stranger.text


def test_the_menu_names_the_pages(airflow):
    base, session = airflow
    plugins = session.get(f"{base}/api/v2/plugins", timeout=60).json()["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"]]
    menu = {view["name"] for view in views if view["destination"] == "nav"}
    assert {"dbt docs", "Data Docs", "Model reports"} <= menu
    assert any(view["destination"] == "dag_run" for view in views)


def test_the_run_page_links_its_reports(airflow):
    base, session = airflow
    run = session.get(f"{base}/api/v2/dags/nightly/dagRuns", timeout=60).json()["dag_runs"][0]
    page = session.get(f"{base}/amato/runs/nightly/{run['dag_run_id']}", timeout=60)
    assert page.status_code == 200
    assert AS_OF in page.text
    links = re.findall(r'href="([^"]+kmeans[^"]+\.html)"', page.text)
    assert links
    for link in links:
        target = requests.compat.urljoin(page.url, link)
        report = session.get(target, timeout=60)
        assert report.status_code == 200, target
        assert "segment" in report.text.lower()


def test_the_night_leaves_its_datasets(shop_platform, summary):
    folder = shop_platform.root / "home" / "datasets" / AS_OF
    assert sorted(path.name for path in folder.iterdir()) == [
        "recent_customer_dataset.parquet",
        "timeline_datasets_metadata.yaml",
        "unified_customer_dataset.parquet",
        "unified_dataset_summary.yaml",
    ]


def test_every_load_tells_its_numbers(shop_platform, summary, airflow):
    """In the load log, in its table's asset event, in its task's log and on the run's page."""
    address, session = airflow
    with shop_platform.warehouse() as conn:
        loads = conn.execute(
            "select distinct on (source_system, source_table)"
            " 'raw_' || source_system || '.' || source_table, read, inserted, updated, deleted,"
            " rejected, bytes, source_checksum from elt.load_log where as_of = %s"
            " order by source_system, source_table, log_id desc",
            (AS_OF,),
        ).fetchall()
    assert len(loads) == 15
    names = ("read", "inserted", "updated", "deleted", "rejected", "bytes", "source_checksum")
    assets = session.get(f"{address}/api/v2/assets?limit=500", timeout=60).json()["assets"]
    ids = {asset["name"]: asset["id"] for asset in assets}
    runs = session.get(f"{address}/api/v2/dags/nightly/dagRuns", timeout=60).json()["dag_runs"]
    run_id = runs[0]["dag_run_id"]
    page = session.get(f"{address}/amato/runs/nightly/{run_id}", timeout=60)
    for table, *figures in loads:
        answer = session.get(
            f"{address}/api/v2/assets/events",
            params={"asset_id": ids[table], "order_by": "-timestamp", "limit": 1},
            timeout=60,
        )
        extra = answer.json()["asset_events"][0]["extra"]
        assert [extra[name] for name in names] == figures, table
        assert extra["written"] == extra["inserted"] + extra["updated"]
        assert extra["rows_per_second"] > 0
        assert table in page.text and f"{extra['read']:,}" in page.text, table
    urls = shop_platform.urls()
    api = AirflowApi(urls["AIRFLOW_URL"], urls["AIRFLOW_USER"], urls["AIRFLOW_PASSWORD"])
    for task in api.run_state("nightly", run_id).tasks:
        if "load_" in task.task_id and task.map_index >= 0:
            text = "\n".join(api.log_lines("nightly", run_id, task, 1_000))
            for word in ("read", "inserted", "updated", "deleted", "rejected", "MB", "rows/s"):
                assert word in text, (task.name, word)


def test_the_truth_is_private_and_beside_what_is_shared(shop_platform, summary):
    truth = shop_platform.root / "truth"
    assert (truth / "defects.parquet").is_file()
    assert truth.stat().st_mode & 0o777 == 0o700
    names = {path.name for path in truth.iterdir()}
    shown = {path.name for path in (shop_platform.root / "home").rglob("*.parquet")}
    assert not names & shown


def test_with_demo_the_company_lives_up_to_the_night(shop_platform, summary):
    before = summary["rows"]["raw"]
    life = {"SCALE": SCALE, "SEED": "7", "AS_OF": NEXT_NIGHT, "DEMO": "1"}
    output = shop_platform.must("run", **life)
    assert re.search(r"success .* add_source_days", output)
    assert shop_platform.summary()["as_of"] == NEXT_NIGHT
    grown = shop_platform.summary()["rows"]["raw"]
    for table in ("raw_mysql.transactions", "raw_mongo.sessions", "raw_mongo.page_views"):
        assert grown[table] > before[table], table
    # Remembered: DEMO need not be given again. The company has lived up to that night.
    checksums = shop_platform.checksums()
    again = shop_platform.must("run", SCALE=SCALE, SEED="7", AS_OF=NEXT_NIGHT)
    assert re.search(r"skipped .* add_source_days", again)
    assert shop_platform.checksums() == checksums


def test_a_past_night_is_written_once_more_and_changes_nothing(shop_platform, summary):
    urls = shop_platform.urls()
    api = AirflowApi(urls["AIRFLOW_URL"], urls["AIRFLOW_USER"], urls["AIRFLOW_PASSWORD"])
    before = shop_platform.checksums()
    with shop_platform.warehouse() as conn:
        conn.execute("delete from marts.customer_features where as_of = %s", (AS_OF,))
    assert shop_platform.checksums() != before
    run_id = api.trigger("transform", {"as_of": AS_OF})
    *_, ended = api.watch("transform", run_id)
    assert ended.state == "success"
    states = {task.task_id.removeprefix("transform."): task.state for task in ended.tasks}
    assert states.pop("build_marts") == "success"
    assert {name for name, state in states.items() if state == "skipped"} == {
        "build_staging",
        "build_intermediate",
        "write_docs",
    }
    assert shop_platform.checksums() == before
    refused = api.trigger("validate", {"as_of": AS_OF})
    *_, ended = api.watch("validate", refused)
    assert ended.state == "failed"
    first = ended.first_failure()
    assert first is not None and first.task_id == "validate.run_expectations"
    said = "\n".join(api.log_lines("validate", refused, first, 15))
    assert f"night {AS_OF} is over: the marts show {NEXT_NIGHT}" in said


def test_missed_nights_are_caught_up_and_a_run_comes_after_them(shop_platform, airflow):
    """The platform slept for two nights: the schedule runs them in order, then `make run` goes."""
    today = datetime.now(UTC).date()
    missed = [today - timedelta(days=1), today]
    if datetime.now(UTC).hour < 1:  # tonight's run is not due before 01:00
        missed.pop()
    shop_platform.must("down")
    first_night = (today - timedelta(days=1)).isoformat()
    shop_platform.must("run", SCALE=SCALE, SEED="7", AMATO_FIRST_NIGHT=first_night, DEMO="0")
    assert shop_platform.summary()["as_of"] == missed[-1].isoformat()
    with shop_platform.warehouse() as conn:
        nights = conn.execute("select as_of, state from elt.nights order by batch_id").fetchall()
    done = [date.fromisoformat(AS_OF), date.fromisoformat(NEXT_NIGHT), *missed]
    assert nights == [(night, "closed") for night in done]
