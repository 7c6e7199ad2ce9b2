"""The gate's rules that need no warehouse: verdicts, the suite's file, offline pages."""

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from dags.stages.gate import PROJECT, GateResult, GateStoppedError, enforce, gx_url, verdict_of
from dags.stages.gate_docs import ASSETS, drop_old_nights, make_offline, rewrite
from dags.stages.gate_figures import Standing
from dags.stages.gate_outcomes import Outcome, outcomes_of
from dags.stages.gate_pages import clear_index
from dags.stages.gate_records import Override
from dags.stages.gate_rows import failing_rows_query
from dags.stages.gate_scores import lost_share, scores_of
from dags.stages.gate_suites import read_suites
from elt.specs import SPECS
from ml.customer_segmentation.config import MODEL_FEATURES

HELD = Outcome(
    suite="customer_rfm", table="marts.customer_rfm", name="a_rule", column=None,
    severity="critical", success=True, error=None, observed={}, unexpected_count=0,
    rows_checked=10,
)  # fmt: skip
WARNED = replace(HELD, severity="warning", success=False)
NOTED = replace(HELD, severity="info", success=False)
FAILED = replace(HELD, name="b_rule", success=False, unexpected_count=1234, rows_checked=23570)
BROKEN = replace(HELD, name="c_rule", severity="info", success=None, error="no such column")
IDLE = replace(HELD, name="d_rule", success=None, note="3 of 14 nights known")


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([HELD], "passed"),
        ([HELD, NOTED], "passed"),
        ([HELD, NOTED, WARNED], "passed_with_warnings"),
        ([WARNED, FAILED], "failed"),
        ([FAILED, BROKEN], "error"),
        ([BROKEN, HELD], "error"),
        ([IDLE, HELD], "passed"),
        ([IDLE], "passed"),
    ],
)
def test_the_gravest_outcome_is_the_verdict(outcomes: list[Outcome], verdict: str) -> None:
    assert verdict_of(outcomes) == verdict
    result = GateResult(date(1998, 7, 1), verdict_of(outcomes), tuple(outcomes))
    if verdict in {"failed", "error"}:
        with pytest.raises(GateStoppedError):
            enforce(result)
    else:
        enforce(result)


def test_the_failure_is_named_before_what_only_follows_from_it() -> None:
    result = GateResult(date(1998, 7, 1), "error", (BROKEN, FAILED, WARNED))
    with pytest.raises(GateStoppedError) as stopped:
        enforce(result)
    first, second, results, rows, remedy = str(stopped.value).splitlines()
    assert first.startswith(
        "night 1998-07-01 is stopped: b_rule failed on marts.customer_rfm (1,234 of 23,570 rows)"
        " and 1 more; look at Data Docs, /amato/data_docs/"
    )
    assert second == "  c_rule could not be evaluated on marts.customer_rfm: no such column"
    assert "quality.validation_results where as_of = '1998-07-01'" in results
    assert "quality.failing_rows where as_of = '1998-07-01'" in rows
    assert "run validate with a reason" in remedy


def test_a_check_on_history_says_what_it_learnt_from() -> None:
    learnt = replace(
        FAILED, note="learnt from 22 nights, 1998-06-09 to 1998-06-30", unexpected_count=1,
        rows_checked=None, observed={"examples": [{"column_name": "price", "value": 1}]},
    )  # fmt: skip
    assert learnt.finding() == (
        "b_rule failed on marts.customer_rfm (e.g. column_name=price, value=1; "
        "learnt from 22 nights, 1998-06-09 to 1998-06-30)"
    )
    several = replace(learnt, unexpected_count=1234)
    assert "(1,234 findings; e.g. column_name=price" in several.finding()
    assert IDLE.finding() == ("d_rule does not apply to marts.customer_rfm: 3 of 14 nights known")


@pytest.mark.parametrize(
    ("figure", "rows", "nights", "note"),
    [
        ("mean", 60, {}, "marts.t has fewer than 100 rows, of which too little can be said"),
        ("nulls", 60, {"nulls": (56, None, None)},
         "marts.t has fewer than 100 rows, of which too little can be said"),
        ("recent_nulls", 5000, {}, "fewer than 6 new rows came to marts.t"),
        ("mean", 5000, {"mean": (3, None, None)},
         "3 of 14 nights known that it has to learn from"),
    ],
)  # fmt: skip
def test_what_does_not_apply_says_the_true_reason(
    figure: str, rows: int, nights: dict[str, tuple[int, None, None]], note: str
) -> None:
    standing = Standing(rows=rows, error=None, ever_held_rows=True, nights=nights)
    result = {
        "success": True,
        "expectation_config": {
            "meta": {"name": "a_rule", "needs": {"history": figure, "of": "marts.t"}},
            "kwargs": {"unexpected_rows_query": "select"},
            "severity": "critical",
        },
        "result": {"observed_value": 0},
        "exception_info": {"raised_exception": False},
    }
    (outcome,) = outcomes_of("t", "marts.t", [result], {"marts.t": standing})
    assert (outcome.state, outcome.note) == ("not_applicable", note)


def test_the_drift_of_every_feature_of_the_segmentation_is_followed() -> None:
    (watched,) = read_suites()["customer_features"].tables
    mart_columns = {"monetary": "monetary_value"}
    assert {mart_columns.get(name, name) for name in MODEL_FEATURES} <= set(watched.drift)


def test_a_published_night_passes_whatever_was_found() -> None:
    override = Override("checked by hand: fine", "ada", "validate", "manual", datetime(1998, 7, 1))
    enforce(GateResult(date(1998, 7, 1), "error", (BROKEN, FAILED), override))


def test_every_expectation_has_a_name_a_reason_and_a_severity() -> None:
    suites = read_suites()
    assert {path.stem for path in (PROJECT / "expectations").glob("*.json")} == set(suites)
    marts = {path.stem for path in (PROJECT.parent / "dbt_project/models/marts").glob("*.sql")}
    assert set(suites) == marts | {"raw", "staging"}
    identifiers = set()
    for suite in suites.values():
        content = json.loads((PROJECT / "expectations" / f"{suite.name}.json").read_text())
        tables = {watched.table for watched in suite.tables}
        assert len(suite.purpose) > 20
        names = [(e["meta"].get("table"), e["meta"]["name"]) for e in content["expectations"]]
        assert len(names) == len(set(names)), suite.name
        for expectation in content["expectations"]:
            identifiers.add(expectation["id"])
            assert expectation["description"].endswith("."), expectation
            assert expectation["severity"] in {"critical", "warning", "info"}
            assert expectation["meta"].get("table", suite.table.table) in tables
            needs = expectation["meta"].get("needs", {})
            assert set(needs) in (set(), {"rows"}, {"history", "of"})
            query = expectation["kwargs"].get("unexpected_rows_query", "{batch}")
            assert "{batch}" in query
            failing_rows_query(expectation, suite.table.table, suite.table.key)
    assert len(identifiers) == sum(
        len(json.loads(path.read_text())["expectations"])
        for path in (PROJECT / "expectations").glob("*.json")
    )
    assert not list(PROJECT.rglob("__init__.py"))


def test_raw_and_staging_watch_every_source_table() -> None:
    suites = read_suites()
    assert {t.table for t in suites["raw"].tables} == {spec.raw_name for spec in SPECS}
    assert {t.table for t in suites["staging"].tables} == {
        f"staging.stg_{spec.system}__{spec.name}" for spec in SPECS
    }


@pytest.mark.parametrize(
    ("outcome", "lost"),
    [
        (HELD, 0),
        (BROKEN, 1),
        (replace(FAILED, unexpected_count=2, rows_checked=10), 0.6),
        (replace(FAILED, unexpected_count=10, rows_checked=10), 1),
        (replace(FAILED, unexpected_count=3, rows_checked=None), 1),
    ],
)
def test_half_is_lost_by_failing_and_half_by_how_much(outcome: Outcome, lost: float) -> None:
    assert lost_share(outcome) == pytest.approx(lost)


def test_scores_weigh_severity_and_volume() -> None:
    small = replace(HELD, table="marts.small")
    outcomes = [
        HELD,  # 1 of 1.6 held
        replace(WARNED, unexpected_count=5, rows_checked=10),  # loses 0.75 of 0.5
        NOTED,  # loses half and 0 of 10 rows, of 0.1
        replace(IDLE, severity="critical"),
        small,
    ]
    rows = {"marts.customer_rfm": 1000, "marts.small": 1}
    rfm, tiny, night = scores_of(outcomes, rows)
    assert (rfm.table, tiny.table, night.table) == ("marts.customer_rfm", "marts.small", None)
    assert rfm.score == pytest.approx(100 * (1 - (0.375 + 0.05) / 1.6))
    assert (rfm.expectations, rfm.failed) == (3, 2)
    assert tiny.score == 100
    assert night.score == pytest.approx((4 * rfm.score + 1 * 100) / 5)
    assert night.rows == 1001
    assert scores_of([IDLE], rows) == []


def test_the_url_for_sqlalchemy_keeps_every_character_of_the_password() -> None:
    from sqlalchemy.engine import make_url

    url = make_url(
        gx_url(
            "postgresql://me%40x:p%40s%2F%24%7BA%7D%3A@[::1]:5433/w?sslmode=require",
            date(1998, 7, 1),
        )
    )
    assert url.password == "p@s/${A}:"
    assert (url.username, url.host, url.port, url.database) == ("me@x", "::1", 5433, "w")
    assert url.query == {
        "sslmode": "require",
        "options": "-c role=amato_validator -c timezone=UTC -c amato.as_of=1998-07-01",
    }
    assert "$" not in gx_url("postgresql://u:a%24b@h:1/w", date(1998, 7, 1))


def test_pages_take_their_assets_from_the_site() -> None:
    text = (
        '<script src="https://cdn.jsdelivr.net/npm/vega@5"></script>'
        '<script src="https://code.jquery.com/jquery-3.7.1.min.js" integrity="x"></script>'
        '<link rel="stylesheet" href="https://cdnjs.cloudflare.com/a/6.6.0/css/all.min.css">'
        '<a href="https://greatexpectations.io">stays: a link is not fetched</a>'
    )
    assert rewrite(text, depth=2) == (
        '<script src="../../static/vendor/jquery.min.js"></script>'
        '<link rel="stylesheet" href="../../static/vendor/fontawesome.min.css">'
        '<a href="https://greatexpectations.io">stays: a link is not fetched</a>'
    )


def test_the_logo_is_the_sites_own_by_day_and_by_night() -> None:
    far = "https://great-expectations-web-assets.s3.us-east-2.amazonaws.com"
    text = (
        f"<style>.navbar-brand a {{ background: url('{far}/full_logo_dark.png') 0 0; }}"
        ".navbar-brand a img { visibility:hidden }</style>"
        f'<img src="{far}/logo-long.png?d=20260101T000000.000000Z">'
        '<link rel="shortcut icon" href="../../../static/images/favicon.ico"/>'
    )
    assert rewrite(text, depth=4) == (
        "<style>.navbar-brand a { background: none 0 0; }"
        ".navbar-brand a img { filter: invert(1) }</style>"
        '<img src="../../../../static/images/logo-long.png">'
        '<link rel="shortcut icon" href="../../../../static/images/favicon.ico"/>'
    )


def test_making_a_site_offline_again_changes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "validations" / "orders" / "2026-02-10" / "20260210T000000Z" / "page.html"
    page.parent.mkdir(parents=True)
    page.write_text('<script src="https://code.jquery.com/jquery-3.7.1.min.js"></script>')
    assert make_offline(tmp_path, date(2026, 2, 9)) == []
    assert make_offline(tmp_path, date(2026, 2, 10)) == [page]
    assert make_offline(tmp_path, date(2026, 2, 10)) == []
    assert (tmp_path / "static" / "vendor" / "jquery.min.js").is_file()


def test_nights_that_are_long_over_are_dropped_with_their_pages(tmp_path: Path) -> None:
    nights = [date(2026, 1, 5), date(2026, 1, 6), date(2026, 2, 10), date(2026, 4, 1)]
    folders = {
        night: [
            tmp_path / "validation_results" / "orders" / str(night),
            tmp_path / "data_docs" / "validations" / "orders" / str(night),
        ]
        for night in nights
    }
    for folder in [folder for pair in folders.values() for folder in pair]:
        (folder / "20260101T000000.000000Z").mkdir(parents=True)
        (folder / "20260101T000000.000000Z" / "warehouse-orders.html").write_text("")
    drop_old_nights(tmp_path, date(2026, 2, 10))  # 36 and 35 days after the first two
    kept = [night for night in nights if all(folder.is_dir() for folder in folders[night])]
    assert kept == nights[1:]
    assert not any(folder.exists() for folder in folders[nights[0]])


def test_the_index_shows_a_failure_only_where_something_failed() -> None:
    def row(suite: str, night: str, icon: str, text: str) -> str:
        return (
            f"{{'validation_success': '<i class=\"{icon}\"></i>', 'run_name': '{night}',"
            f" '_table_row_link_path': 'validations/{suite}/{night}/t/warehouse-{suite}.html',"
            f" '_validation_success_text': '{text}'}}"
        )

    held = "fas fa-check-circle text-success ge-success-icon", "Success"
    failed = "fas fa-times text-danger ge-failed-icon", "Failed"
    rows = [("a", "2026-01-01"), ("b", "2026-01-01"), ("b", "2026-01-02"), ("c", "2026-01-02")]

    def page(*states: tuple[str, str]) -> str:
        return f"data: [{', '.join(row(*r, *s) for r, s in zip(rows, states, strict=True))}]"

    known = {("a", date(2026, 1, 1)), ("b", date(2026, 1, 2)), ("c", date(2026, 1, 1))}
    assert clear_index(page(held, failed, failed, failed), known) == page(
        held, failed, held, failed
    )


def test_vendored_assets_fetch_nothing_and_carry_their_licences() -> None:
    licences = (ASSETS / "LICENSES.txt").read_text()
    for name in ("bootstrap", "bootstrap-table", "bootstrap-datepicker", "jquery", "popper.js"):
        assert f"================ {name} " in licences
    for sheet in ASSETS.glob("*.css"):
        text = sheet.read_text()
        assert "url(http" not in text and "@import" not in text and "url(//" not in text
