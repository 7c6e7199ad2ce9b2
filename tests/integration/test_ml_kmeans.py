"""Training, scoring and reports of the segmentation in a real warehouse."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import yaml

from ml import registry
from ml.artefacts import ArtefactError
from ml.catalogue import FAMILIES
from ml.customer_segmentation.kmeans import KMeansModel
from ml.customer_segmentation.model import predict
from ml.evaluation import holdout_ranks
from ml.features import MartMissingError, purchase_features
from ml.lifecycle.inference import table_columns
from ml.lifecycle.versions import load_version
from ml.model import Scope
from ml.reports import write_master_report
from ml.run import infer_model, main, train_model
from tests.integration.ml_support import (
    Order,
    checksum,
    group_orders,
    make_marts,
    scientist,
    tree_hashes,
)

AS_OF = date(1998, 7, 1)
CUTOFF = date(1998, 4, 1)
LATER = date(1998, 8, 1)
RESULT_COLUMNS = table_columns(KMeansModel())
STATE = ("ml.model_versions", "ml.model_metrics", "ml.kmeans_predictions")


@pytest.fixture
def shop(warehouse_url: str) -> str:
    """A warehouse with 300 customers of four kinds, and five who have never bought."""
    orders = group_orders(60, until=LATER)
    customers = sorted({str(o.customer_id) for o in orders}) + [f"Z{i}" for i in range(5)]
    make_marts(warehouse_url, orders, customers, since=date(1998, 4, 1))
    return warehouse_url


def run(url: str, home: Path, as_of: date = AS_OF) -> tuple[dict[str, Any], dict[str, Any]]:
    with scientist(url) as conn:
        return train_model("kmeans", conn, Scope(as_of), home), infer_model(
            "kmeans", conn, Scope(as_of), home
        )


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query.encode()).fetchall()


def baseline_of(url: str, night: date = AS_OF) -> str:
    """The name of the night's baseline."""
    (found,) = rows(
        url,
        "select version from ml.model_versions where params ->> 'kind' = 'baseline'"
        f" and as_of = '{night}'",
    )
    return str(found[0])


def promote(url: str, version: str, night: date) -> None:
    """Make a version the champion from a night on, as somebody who knows better may."""
    with scientist(url) as conn:
        registry.promote(conn, "kmeans", version, night)


def test_every_customer_is_scored(shop: str, tmp_path: Path) -> None:
    trained, scored = run(shop, tmp_path)
    assert (trained["state"], trained["promoted"], scored["state"]) == ("success", True, "success")
    assert json.loads(json.dumps(scored))["predictions"] == 305
    table = rows(shop, "select * from ml.kmeans_predictions order by customer_id")
    assert len(table) == 305
    names = RESULT_COLUMNS
    none = [dict(zip(names, row, strict=True)) for row in table if str(row[5]).startswith("Z")]
    # Those who first buy after the night count as not having bought.
    (without,) = rows(
        shop,
        "select count(distinct customer_id) from marts.dim_customers where customer_id not in"
        f" (select customer_id from marts.fct_orders where order_date < '{AS_OF} 00:00Z')",
    )
    assert without[0] >= 5
    assert len(none) == 5
    assert none[0] == {
        "entity_type": "customer",
        "entity_id": "Z0",
        "target_date": AS_OF,
        "as_of": AS_OF,
        "model_version": trained["version"],
        "customer_id": "Z0",
        "kmeans_segment": -1,
        "kmeans_segment_type": "No Purchase Yet",
        "kmeans_confidence": 1.0,
        "kmeans_avg_monetary": 0.0,
        "kmeans_avg_frequency": 0.0,
        "kmeans_segment_size": without[0],
        "trained_as_of": CUTOFF,
    }
    sizes = rows(
        shop,
        "select count(*) = min(kmeans_segment_size) and count(*) = max(kmeans_segment_size)"
        " from ml.kmeans_predictions group by kmeans_segment",
    )
    assert sizes == [(True,)] * 6
    kinds = rows(
        shop,
        "select left(customer_id, 1), mode() within group (order by kmeans_segment_type)"
        " from ml.kmeans_predictions where kmeans_segment >= 0 group by 1 order by 1",
    )
    assert dict(kinds) == {
        "F": "Champions",
        "H": "High-Value Loyal",
        "O": "Occasional",
        "R": "At-Risk",
    }


def test_segment_averages_are_those_of_the_orders(shop: str, tmp_path: Path) -> None:
    run(shop, tmp_path)
    differing = rows(
        shop,
        """
        with customer as (
            select customer_id, sum(total_amount) as spent, count(*) as orders
            from marts.fct_orders where order_date < '1998-07-01 00:00Z' group by customer_id
        ), segment as (
            select kmeans_segment, round(avg(spent), 2) as spent, round(avg(orders), 4) as orders
            from ml.kmeans_predictions join customer using (customer_id) group by 1
        )
        select count(*) from ml.kmeans_predictions as p join segment as s using (kmeans_segment)
        where abs(p.kmeans_avg_monetary - s.spent) > 0.0051
            or abs(p.kmeans_avg_frequency - s.orders) > 0.000051
        """,
    )
    assert differing == [(0,)]


def test_everything_again_changes_nothing(shop: str, tmp_path: Path) -> None:
    first, _ = run(shop, tmp_path)
    before, files = checksum(shop, *STATE), tree_hashes(tmp_path)
    again, _ = run(shop, tmp_path)
    assert (again["version"], again["changed"]) == (first["version"], False)
    assert checksum(shop, *STATE) == before
    assert tree_hashes(tmp_path) == files


def test_another_machine_makes_the_same(shop: str, tmp_path: Path) -> None:
    run(shop, tmp_path / "one")
    before = checksum(shop, *STATE)
    with psycopg.connect(shop) as conn:
        conn.execute("truncate ml.model_versions, ml.model_metrics, ml.kmeans_predictions")
    run(shop, tmp_path / "two")
    assert checksum(shop, *STATE) == before
    assert tree_hashes(tmp_path / "two") == tree_hashes(tmp_path / "one")


def test_two_runs_beside_each_other_make_the_same(shop: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: run(shop, tmp_path), range(2)))
    before, files = checksum(shop, *STATE), tree_hashes(tmp_path)
    run(shop, tmp_path)
    assert checksum(shop, *STATE) == before
    assert tree_hashes(tmp_path) == files
    assert rows(shop, "select count(*) from ml.kmeans_predictions") == [(305,)]


def test_files_are_named_by_night_and_version(shop: str, tmp_path: Path) -> None:
    trained, _ = run(shop, tmp_path)
    version = trained["version"]
    stem = f"reports/customer_segmentation/kmeans_{AS_OF}_{version}"
    assert set(tree_hashes(tmp_path)) == {
        f"artefacts/customer_segmentation/kmeans-{version}.zip",
        f"artefacts/customer_segmentation/kmeans-{baseline_of(shop)}.zip",
        f"{stem}.parquet",
        f"{stem}.yaml",
        f"{stem}.html",
    }
    table = pd.read_parquet(tmp_path / f"{stem}.parquet")
    assert tuple(table.columns) == RESULT_COLUMNS
    stored = rows(shop, "select customer_id, kmeans_segment from ml.kmeans_predictions order by 1")
    assert list(zip(table["customer_id"], table["kmeans_segment"], strict=True)) == stored


def test_figures_stand_beside_their_baseline(shop: str, tmp_path: Path) -> None:
    trained, _ = run(shop, tmp_path)
    version = trained["version"]
    assert rows(
        shop,
        "select metric, as_of, baseline, low <= value and value <= high, value > baseline_value"
        f" from ml.model_metrics where version = '{version}'"
        " and baseline is not null and low is not null order by 1",
    ) == [
        ("gain_over_champion", AS_OF, "champion", True, True),
        ("later_spending_explained", AS_OF, "rfm_quantile", True, True),
        ("silhouette", AS_OF, "rfm_quantile", True, True),
    ]
    assert rows(
        shop,
        "select b.metric, b.value = m.baseline_value, b.low, b.baseline from ml.model_metrics as b"
        f" join ml.model_metrics as m on m.metric = b.metric and m.version = '{version}'"
        f" where b.version = '{baseline_of(shop)}' order by 1",
    ) == [
        ("later_spending_explained", True, None, None),
        ("segments", True, None, None),
        ("silhouette", True, None, None),
    ]
    steady = rows(
        shop,
        "select metric, low <= value and value <= high from ml.model_metrics"
        f" where version = '{version}' and metric like 'jaccard%' order by 1",
    )
    names = ["jaccard_least", *(f"jaccard_segment_{segment}" for segment in range(5))]
    assert steady == [(name, True) for name in names]
    states = rows(shop, "select kind, state, version, rows > 0 from ml.model_runs order by run_id")
    assert states == [("train", "success", version, True), ("infer", "success", version, True)]


def test_what_is_explained_is_what_the_orders_say(shop: str, tmp_path: Path) -> None:
    """The figures that promote, once more by plain pandas from the orders and the predictions."""
    trained, _ = run(shop, tmp_path)
    version = trained["version"]
    with scientist(shop) as conn:
        model = KMeansModel()
        known = registry.find_version(conn, "kmeans", version)
        assert known is not None
        fitted = load_version(model, tmp_path, known)
        before = purchase_features(conn, CUTOFF)
        later = pd.DataFrame(
            conn.execute(
                "select customer_id, sum(total_amount)::float from marts.fct_orders"
                " where order_date >= '1998-04-01 00:00Z' and order_date < '1998-07-01 00:00Z'"
                " group by 1"
            ).fetchall(),
            columns=["customer_id", "spent"],
        )
    groups = {
        "kmeans": predict(fitted, before).segment,
        # Five groups of equally many by spending, with bounds of those that are fit on.
        "quantile": None,
    }
    held = pd.Series(holdout_ranks(list(before["customer_id"]), 42) < 0.2)
    bounds = before.loc[~held, "monetary"].quantile([0.2, 0.4, 0.6, 0.8])
    groups["quantile"] = sum((before["monetary"] >= bound).astype(int) for bound in bounds)
    spent = before.merge(later, how="left")["spent"].fillna(0.0)
    outcome = np.log1p(spent)
    share = {}
    for name, group in groups.items():
        means = outcome[~held].groupby(pd.Series(group)[~held]).mean()
        errors = (outcome[held] - pd.Series(group)[held].map(means)) ** 2
        share[name] = 1 - errors.mean() / outcome[held].var(ddof=0)
    figures = {metric["name"]: metric for metric in trained["metrics"]}
    told = figures["later_spending_explained"]
    assert told["value"] == pytest.approx(share["kmeans"], abs=1e-6)
    assert told["baseline_value"] == pytest.approx(share["quantile"], abs=1e-6)
    assert figures["gain_over_champion"]["value"] == pytest.approx(
        share["kmeans"] - share["quantile"], abs=2e-6
    )


def test_a_later_version_keeps_the_ids_and_the_night_before_its_champion(
    shop: str, tmp_path: Path
) -> None:
    first, _ = run(shop, tmp_path)
    before = checksum(shop, "ml.kmeans_predictions")
    second, scored = run(shop, tmp_path, LATER)
    # No better beyond noise: the champion of the month before goes on.
    assert second["version"] != first["version"]
    assert (second["promoted"], scored["version"]) == (False, first["version"])
    assert f"not better than {first['version']} beyond noise" in second["message"]
    promote(shop, second["version"], LATER)
    with scientist(shop) as conn:
        scored = infer_model("kmeans", conn, Scope(LATER), tmp_path)
    assert scored["version"] == second["version"]
    steady = rows(
        shop,
        "select count(distinct kmeans_segment) from ml.kmeans_predictions"
        " where customer_id in (select customer_id from ml.kmeans_predictions"
        " where kmeans_segment_type = 'Champions' group by 1 having count(*) = 2)",
    )
    assert steady == [(1,)]
    with psycopg.connect(shop) as conn:
        conn.execute("delete from ml.kmeans_predictions where as_of = %s", (LATER,))
    # Scoring the older night again takes the champion of that night, not today's, and not the
    # baseline, which was champion that night before it.
    with scientist(shop) as conn:
        again = infer_model("kmeans", conn, Scope(AS_OF), tmp_path)
    assert again["version"] == first["version"]
    assert checksum(shop, "ml.kmeans_predictions") == before


def test_training_an_older_night_leaves_the_present_champion(shop: str, tmp_path: Path) -> None:
    later, _ = run(shop, tmp_path, LATER)
    assert later["promoted"]
    older, scored = run(shop, tmp_path, AS_OF)
    assert scored["version"] == older["version"]
    assert not older["promoted"]
    assert rows(shop, "select version from ml.model_versions where is_champion") == [
        (later["version"],)
    ]


def spoil(home: Path, version: str) -> Path:
    path = home / f"artefacts/customer_segmentation/kmeans-{version}.zip"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"centroids", b"centroidz"))
    assert path.read_bytes() != content
    return path


def test_a_spoilt_champion_falls_back_to_the_last_good_version(
    shop: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = run(shop, tmp_path)
    second, _ = run(shop, tmp_path, LATER)
    promote(shop, second["version"], LATER)
    spoil(tmp_path, second["version"])
    with scientist(shop) as conn:
        scored = infer_model("kmeans", conn, Scope(LATER), tmp_path)
    assert (scored["version"], scored["fallback_from"]) == (first["version"], second["version"])
    assert f"falls back from {second['version']}" in caplog.text
    assert rows(shop, f"select count(*) from ml.kmeans_predictions where as_of = '{LATER}'") == [
        (305,)
    ]
    report = tmp_path / f"reports/customer_segmentation/kmeans_{LATER}_{first['version']}.yaml"
    assert yaml.safe_load(report.read_text())["report"]["fallback_from"] == second["version"]
    # Without the first one, too, the baseline serves.
    spoil(tmp_path, first["version"])
    with scientist(shop) as conn:
        scored = infer_model("kmeans", conn, Scope(LATER), tmp_path)
    assert (scored["version"], scored["fallback_from"]) == (baseline_of(shop), second["version"])


def test_without_any_good_version_the_error_names_file_and_remedy_and_training_mends_it(
    shop: str, tmp_path: Path
) -> None:
    trained, _ = run(shop, tmp_path)
    before = checksum(shop, *STATE)
    good = tree_hashes(tmp_path)
    paths = [spoil(tmp_path, version) for version in (trained["version"], baseline_of(shop))]
    with scientist(shop) as conn, pytest.raises(ArtefactError) as caught:
        infer_model("kmeans", conn, Scope(AS_OF), tmp_path)
    assert all(str(path) in str(caught.value) for path in paths)
    assert f"python -m ml.run train --model kmeans --as-of {AS_OF}" in str(caught.value)
    assert checksum(shop, *STATE) == before
    assert rows(shop, "select kind, state from ml.model_runs order by run_id desc limit 1") == [
        ("infer", "failed")
    ]
    mended, scored = run(shop, tmp_path)
    assert mended["changed"]
    assert scored["version"] == trained["version"]
    assert checksum(shop, *STATE) == before
    assert tree_hashes(tmp_path) == good


@pytest.mark.parametrize(("customers", "state"), [(49, "not_applicable"), (50, "success")])
def test_too_few_customers_are_no_failure(
    warehouse_url: str, tmp_path: Path, customers: int, state: str
) -> None:
    orders = [
        Order(
            f"o{i}",
            f"C{i:03d}",
            pd.Timestamp(CUTOFF, tz="UTC").to_pydatetime() - timedelta(days=1 + i),
            Decimal(5 + i),
        )
        for i in range(customers)
    ]
    make_marts(warehouse_url, orders, [], since=CUTOFF)
    trained, scored = run(warehouse_url, tmp_path)
    assert (trained["state"], scored["state"]) == (state, state)
    if state == "not_applicable":
        assert trained["message"] == (
            "not applicable: 49 customers had bought before 1998-04-01; 50 are needed"
        )
        assert rows(warehouse_url, "select kind, state, version from ml.model_runs") == [
            ("train", "not_applicable", None),
            ("infer", "not_applicable", None),
        ]
        assert tree_hashes(tmp_path) == {}


def test_customers_all_alike_are_too_little(warehouse_url: str, tmp_path: Path) -> None:
    moment = pd.Timestamp(CUTOFF, tz="UTC").to_pydatetime() - timedelta(days=9)
    orders = [Order(f"o{i}", f"C{i}", moment, Decimal(5 + i % 4)) for i in range(200)]
    make_marts(warehouse_url, orders, [], since=CUTOFF)
    trained, _ = run(warehouse_url, tmp_path)
    assert trained["state"] == "not_applicable"
    assert "only 4 different profiles" in trained["message"]


def test_empty_marts_are_not_applicable(warehouse_url: str, tmp_path: Path) -> None:
    make_marts(warehouse_url, [], [], since=CUTOFF)
    trained, scored = run(warehouse_url, tmp_path)
    assert (trained["state"], scored["state"]) == ("not_applicable", "not_applicable")


def test_a_failure_is_recorded_and_raised(warehouse_url: str, tmp_path: Path) -> None:
    with scientist(warehouse_url) as conn, pytest.raises(MartMissingError):
        train_model("kmeans", conn, Scope(AS_OF), tmp_path)
    ((kind, state, message),) = rows(
        warehouse_url, "select kind, state, message from ml.model_runs"
    )
    assert (kind, state) == ("train", "failed")
    assert "marts.fct_orders" in message


def test_an_unknown_model_is_named(warehouse_url: str, tmp_path: Path) -> None:
    with (
        scientist(warehouse_url) as conn,
        pytest.raises(ValueError, match=r"no model 'oracle'; there are: .*kmeans"),
    ):
        train_model("oracle", conn, Scope(AS_OF), tmp_path)


def test_the_master_report_counts_what_was_scored(shop: str, tmp_path: Path) -> None:
    trained, _ = run(shop, tmp_path)
    with scientist(shop) as conn:
        assert registry.champion_version(conn, "kmeans") == trained["version"]
        path, page = write_master_report(conn, AS_OF, tmp_path)
        first = path.read_bytes(), page.read_bytes()
        write_master_report(conn, AS_OF, tmp_path)
    assert (path.read_bytes(), page.read_bytes()) == first
    content = yaml.safe_load(path.read_text())
    assert content["master_inference_info"] == {
        "execution_date": "1998-07-01",
        "total_pipelines": 4,
        "total_models": 8,
        "total_predictions": 305,
        "data_source": "marts.dim_customers, marts.fct_orders",
    }
    versions = {entry["model"]: entry["model_version"] for entry in content["pipeline_summary"]}
    assert versions == {**dict.fromkeys(FAMILIES), "kmeans": trained["version"]}
    assert content["business_insights"]
    assert any("Champions" in entry["step"] for entry in content["next_steps"])
    link = f"../customer_segmentation/kmeans_{AS_OF}_{trained['version']}.html"
    assert f'href="{link}"' in page.read_text()
    assert (page.parent / link).resolve().is_file()


def test_every_report_bears_the_mark_of_its_night(shop: str, tmp_path: Path) -> None:
    mark = "Published although the gate stopped it, by ada: <checked by hand>"
    with psycopg.connect(shop) as conn:
        conn.execute(
            "insert into quality.verdicts (as_of, verdict, published, mark)"
            " values (%s, 'failed', true, %s)",
            (AS_OF, mark),
        )
    trained, _ = run(shop, tmp_path)
    with scientist(shop) as conn:
        write_master_report(conn, AS_OF, tmp_path)
    own = f"customer_segmentation/kmeans_{AS_OF}_{trained['version']}"
    for report in (own, f"master/master_{AS_OF}"):
        page = (tmp_path / "reports" / f"{report}.html").read_text()
        assert "by ada: &lt;checked by hand&gt;" in page
        content = yaml.safe_load((tmp_path / "reports" / f"{report}.yaml").read_text())
        assert mark in (content.get("gate"), content.get("report", {}).get("gate"))


def test_a_night_without_a_run_has_a_master_report(shop: str, tmp_path: Path) -> None:
    with scientist(shop) as conn:
        path, _ = write_master_report(conn, AS_OF, tmp_path)
    content = yaml.safe_load(path.read_text())
    assert {entry["state"] for entry in content["pipeline_summary"]} == {"not_run"}
    in_order = sorted(FAMILIES, key=lambda model: (FAMILIES[model], model))
    assert content["next_steps"] == [
        {"model": model, "step": "Run batch_inference for this as_of."} for model in in_order
    ]


def test_the_command_line_runs_the_same(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WAREHOUSE_URL", raising=False)
    assert main(["train", "--as-of", str(AS_OF)]) == 2
    assert "set WAREHOUSE_URL" in capsys.readouterr().err
    monkeypatch.setenv("WAREHOUSE_URL", shop)
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
    for kind in ("train", "infer", "report"):
        assert main([kind, "--model", "kmeans", "--as-of", str(AS_OF)]) == 0
    assert "305 predictions with" in capsys.readouterr().out
    with psycopg.connect(shop) as conn:
        conn.execute("drop table marts.fct_orders")
    assert main(["infer", "--model", "kmeans", "--as-of", str(AS_OF)]) == 1
    assert "Run the transform stage" in capsys.readouterr().err
