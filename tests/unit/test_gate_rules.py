"""The gate's rules that need no warehouse: verdicts, the suite's file, offline pages."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from dags.stages.gate import PROJECT, GateResult, GateStoppedError, enforce, gx_url, verdict_of
from dags.stages.gate_docs import ASSETS, make_offline, rewrite
from dags.stages.gate_outcomes import Outcome

HELD = Outcome(
    suite="customer_rfm", table="marts.customer_rfm", name="a_rule", column=None,
    severity="critical", success=True, error=None, observed={}, unexpected_count=0,
    rows_checked=10,
)  # fmt: skip
WARNED = replace(HELD, severity="warning", success=False)
NOTED = replace(HELD, severity="info", success=False)
FAILED = replace(HELD, name="b_rule", success=False, unexpected_count=1234, rows_checked=23570)
BROKEN = replace(HELD, name="c_rule", severity="info", success=None, error="no such column")


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([HELD], "passed"),
        ([HELD, NOTED], "passed"),
        ([HELD, NOTED, WARNED], "passed_with_warnings"),
        ([WARNED, FAILED], "failed"),
        ([FAILED, BROKEN], "error"),
        ([BROKEN, HELD], "error"),
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
    first, second, last = str(stopped.value).splitlines()
    assert first.startswith(
        "night 1998-07-01 is stopped: b_rule failed on marts.customer_rfm (1,234 of 23,570 rows)"
        " and 1 more; look at Data Docs, /amato/data_docs/"
    )
    assert second == "  c_rule could not be evaluated on marts.customer_rfm: no such column"
    assert "quality.validation_results where as_of = '1998-07-01'" in last


def test_every_expectation_has_a_name_a_reason_and_a_severity() -> None:
    suites = sorted((PROJECT / "expectations").glob("*.json"))
    assert [suite.stem for suite in suites] == ["customer_rfm"]
    expectations = json.loads(suites[0].read_text())["expectations"]
    names = [expectation["meta"]["name"] for expectation in expectations]
    assert len(names) == len(set(names)) == 35
    assert {expectation["severity"] for expectation in expectations} == {
        "critical", "warning", "info",
    }  # fmt: skip
    for expectation in expectations:
        assert expectation["description"].endswith(".")
    assert not list(PROJECT.rglob("__init__.py"))


def test_the_url_for_sqlalchemy_keeps_every_character_of_the_password() -> None:
    from sqlalchemy.engine import make_url

    url = make_url(gx_url("postgresql://me%40x:p%40s%2F%24%7BA%7D%3A@[::1]:5433/w?sslmode=require"))
    assert url.password == "p@s/${A}:"
    assert (url.username, url.host, url.port, url.database) == ("me@x", "::1", 5433, "w")
    assert url.query == {"sslmode": "require", "options": "-c role=amato_validator"}
    assert "$" not in gx_url("postgresql://u:a%24b@h:1/w")


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
    page = tmp_path / "deep" / "page.html"
    page.parent.mkdir()
    page.write_text('<script src="https://code.jquery.com/jquery-3.7.1.min.js"></script>')
    assert make_offline(tmp_path) == [page]
    assert make_offline(tmp_path) == []
    assert (tmp_path / "static" / "vendor" / "jquery.min.js").is_file()


def test_vendored_assets_fetch_nothing_and_carry_their_licences() -> None:
    licences = (ASSETS / "LICENSES.txt").read_text()
    for name in ("bootstrap", "bootstrap-table", "bootstrap-datepicker", "jquery", "popper.js"):
        assert f"================ {name} " in licences
    for sheet in ASSETS.glob("*.css"):
        text = sheet.read_text()
        assert "url(http" not in text and "@import" not in text and "url(//" not in text
