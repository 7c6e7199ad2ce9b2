"""The pages behind /amato, with Airflow's own auth manager in front of them."""

import os
import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

# Before Airflow is imported: its home must not be the user's.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="amato-plugin-tests-"))

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from starlette.testclient import TestClient

from dags.stages.gate import (
    GateResult,
    validation_page,
    verdict_of,
    write_unjudged_file,
    write_verdict_file,
)
from dags.stages.gate_outcomes import Outcome
from dags.stages.gate_records import Override
from dags.stages.gate_scores import Score
from dags.stages.run_pages import write_run_page
from plugins.amato_plugin import AmatoPlugin, Pages

NIGHT = date(1998, 7, 1)
RUN = "scheduled__1998-07-01T01:00:00+00:00"
HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("AMATO_HOME", str(folder))
    return folder


@pytest.fixture
def visitor(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client without credentials; the pages are mounted as Airflow mounts them."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of these tests " * 4)
    app = FastAPI()
    (mounted,) = AmatoPlugin.fastapi_apps
    app.mount(mounted["url_prefix"], Pages())
    create_auth_manager()
    _create_revoked_tokens()
    yield TestClient(app, base_url="http://airflow.test", follow_redirects=False)


def _create_revoked_tokens() -> None:
    """The one table of Airflow's database that checking a token needs."""
    from airflow import settings
    from airflow.models.revoked_token import RevokedToken

    if settings.engine is None:
        settings.configure_orm()
    assert settings.engine is not None
    RevokedToken.__table__.create(settings.engine, checkfirst=True)  # type: ignore[attr-defined]


def token(role: str | None) -> str:
    user = SimpleAuthManagerUser(username="ann", role=role)
    return create_auth_manager().generate_jwt(user)  # type: ignore[arg-type]


@pytest.fixture
def client(visitor: TestClient) -> TestClient:
    """A signed-in browser: the UI's cookie."""
    visitor.cookies.set("_token", token("viewer"))
    return visitor


def put(home: Path, name: str, content: str = "content") -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


PATHS = [
    "/amato/",
    "/amato/docs",
    "/amato/docs/",
    "/amato/docs/%2e%2e/%2e%2e/secret",
    "/amato/data_docs/x.js",
    "/amato/reports/",
    f"/amato/runs/nightly/{RUN}",
    "/amato/nothing/",
]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_without_a_session(visitor: TestClient, home: Path, path: str) -> None:
    put(home, "docs/index.html", "private")
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"cookie": "_token=nonsense"}):
        answer = visitor.get(path, headers=headers)
        assert answer.status_code in {401, 403}, (path, headers)
        assert "private" not in answer.text


@pytest.mark.parametrize("path", ["/amato/docs/index.html", f"/amato/runs/nightly/{RUN}"])
def test_a_browser_is_sent_to_the_login_and_back(visitor: TestClient, path: str) -> None:
    for cookie in ({}, {"cookie": "_token=expired"}):
        answer = visitor.get(path, headers=HTML | cookie)
        assert answer.status_code == 303
        location = answer.headers["location"]
        assert location.startswith("/auth/login?next=http%3A%2F%2Fairflow.test%2Famato%2F")
        assert answer.headers["cache-control"] == "no-store"


def test_the_cookie_and_a_bearer_token_open_the_pages(visitor: TestClient, home: Path) -> None:
    put(home, "docs/index.html", "private")
    bearer = visitor.get("/amato/docs/", headers={"authorization": f"Bearer {token('viewer')}"})
    cookie = visitor.get("/amato/docs/", headers={"cookie": f"_token={token('viewer')}"})
    assert (
        (bearer.status_code, bearer.text) == (cookie.status_code, cookie.text) == (200, "private")
    )


def test_a_user_without_a_role_is_refused(visitor: TestClient, home: Path) -> None:
    put(home, "docs/index.html", "private")
    visitor.cookies.set("_token", token(None))
    for path in ("/amato/docs/", f"/amato/runs/nightly/{RUN}"):
        answer = visitor.get(path, headers=HTML)
        assert answer.status_code == 403
        assert "role" in answer.text and "private" not in answer.text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("docs/index.html", "text/html; charset=utf-8"),
        ("data_docs/static/vendor/x.min.js", "text/javascript; charset=utf-8"),
        ("data_docs/static/vendor/webfonts/f.woff2", "font/woff2"),
        ("reports/customer_segmentation/kmeans_1998-07-01_v1.yaml", "text/plain; charset=utf-8"),
        ("reports/customer_segmentation/kmeans.parquet", "application/vnd.apache.parquet"),
        ("docs/manifest.json", "application/json"),
        ("docs/odd.zzz", "application/octet-stream"),
    ],
)
def test_files_are_typed_and_never_stale(
    client: TestClient, home: Path, name: str, kind: str
) -> None:
    put(home, name)
    answer = client.get(f"/amato/{name}")
    assert (answer.status_code, answer.text) == (200, "content")
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert ("attachment" in answer.headers.get("content-disposition", "")) == (
        name.endswith(".parquet")
    )
    again = client.get(f"/amato/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(f"/amato/{name}").content == b""
    put(home, name, "newer content")
    newer = client.get(f"/amato/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert newer.text == "newer content"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_pages_are_only_read(client: TestClient, home: Path, method: str) -> None:
    put(home, "docs/index.html")
    assert client.request(method, "/amato/docs/index.html").status_code == 405
    assert (home / "docs" / "index.html").read_text() == "content"


@pytest.mark.parametrize(
    "path",
    [
        "docs/%2e%2e/secret.txt",
        "docs/..%2fsecret.txt",
        "docs/%2e%2e%2fsecret.txt",
        "docs/..%5csecret.txt",
        "docs//etc/passwd",
        "docs/%2fetc%2fpasswd",
        "docs/link.txt",
        "docs/.hidden",
        "docs/index.html%00.css",
        "%2e%2e/secret.txt",
        "verdicts/secret.txt",
        "runs/..%2f..%2fsecret/x",
        "runs/%2e%2e/%2e%2e%2fsecret",
    ],
)
def test_nothing_but_the_generated_folders_is_served(
    client: TestClient, home: Path, path: str
) -> None:
    put(home, "docs/index.html")
    put(home, "docs/.hidden", "a secret")
    put(home, "verdicts/secret.txt", "a secret")
    put(home, "secret.txt", "a secret")
    put(home, "secret.json", '{"a": "a secret"}')
    (home / "docs" / "link.txt").symlink_to(home / "secret.txt")
    answer = client.get(f"/amato/{path}")
    assert answer.status_code == 404, path
    assert "a secret" not in answer.text and "root:" not in answer.text


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("docs/", "run it"),
        ("data_docs/", "DAG validate"),
        ("reports/", "train_models and batch_inference"),
        ("docs/deep/page.html", "DAG transform"),
        (f"runs/nightly/{RUN}", "has not written its page"),
    ],
)
def test_what_is_not_made_yet_says_how_to_make_it(
    client: TestClient, path: str, remedy: str
) -> None:
    answer = client.get(f"/amato/{path}", headers=HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert remedy in answer.text


def test_folders_end_in_a_slash(client: TestClient, home: Path) -> None:
    put(home, "docs/deep/index.html")
    assert client.get("/amato/docs").headers["location"] == "/amato/docs/"
    assert client.get("/amato/docs/deep").headers["location"] == "/amato/docs/deep/"
    assert client.get("/amato/docs/deep/").text == "content"
    assert client.get("/amato/").headers["location"] == "/amato/reports/"


def test_the_reports_page_lists_every_file(client: TestClient, home: Path) -> None:
    for suffix in ("html", "yaml", "parquet"):
        put(home, f"reports/customer_segmentation/kmeans_1998-07-01_v1.{suffix}")
    put(home, "reports/master/<b>_1998-07-02.html")
    text = client.get("/amato/reports/").text
    assert "2 reports of 2 nights" in text
    for suffix in ("html", "yaml", "parquet"):
        link = f"/amato/reports/customer_segmentation/kmeans_1998-07-01_v1.{suffix}"
        assert f'href="{link}"' in text
        assert client.get(link).status_code == 200
    assert "<b>" not in text and "&lt;b&gt;" in text


def test_the_reports_page_links_the_page_of_the_company(client: TestClient, home: Path) -> None:
    put(home, "reports/world.html", "the company")
    text = client.get("/amato/reports/").text
    assert "1 report." in text and "Source data" in text
    assert 'href="/amato/reports/world.html"' in text
    assert client.get("/amato/reports/world.html").text == "the company"


def test_the_truth_beside_amato_home_is_never_served(client: TestClient, home: Path) -> None:
    put(home.parent, "truth/defects.parquet", "truth")
    (home / "reports").mkdir()
    (home / "reports" / "link").symlink_to(home.parent / "truth")
    for path in (
        "truth/defects.parquet",
        "reports/../../truth/defects.parquet",
        "reports/%2e%2e/%2e%2e/truth/defects.parquet",
        "reports/link/defects.parquet",
    ):
        answer = client.get(f"/amato/{path}")
        assert answer.status_code == 404 and answer.text != "truth", path


FAILED = Outcome(
    suite="customer_rfm", table="marts.customer_rfm", name="a_rule", column=None,
    severity="critical", success=False, error=None, observed={"examples": [{"x": "<i>"}]},
    unexpected_count=2, rows_checked=None,
)  # fmt: skip


def judge(home: Path, night: date, *outcomes: Outcome, override: Override | None = None) -> None:
    """Leave what the gate leaves of a night."""
    result = GateResult(night, verdict_of(outcomes), outcomes, override)
    scores = [Score("marts.customer_rfm", 50, 11, 2, 1), Score(None, 50, 11, 2, 1)]
    write_verdict_file(home, result, scores)


def test_a_run_shows_its_night_its_verdict_and_its_reports(client: TestClient, home: Path) -> None:
    put(home, "reports/customer_segmentation/kmeans_1998-07-01_v1.html")
    put(home, "reports/customer_segmentation/kmeans_1998-06-30_v1.html")
    write_run_page(home, dag_id="nightly", run_id=RUN, as_of=NIGHT)
    address = "/amato/runs/nightly/scheduled__1998-07-01T01%3A00%3A00%2B00%3A00"
    text = client.get(address).text
    assert "Night 1998-07-01" in text and RUN in text
    assert "kmeans_1998-07-01_v1.html" in text and "1998-06-30" not in text
    assert "was not validated yet" in text

    judge(home, NIGHT, FAILED)
    text = client.get(address).text
    assert "stopped" in text and "x=&lt;i&gt;" in text
    assert f'href="/amato/{validation_page("customer_rfm", NIGHT)}"' in text
    assert "from quality.failing_rows where as_of = &#x27;1998-07-01&#x27;" in text
    assert "Data quality: 50.00 of 100" in text and "marts.customer_rfm" in text
    judge(home, date(1998, 6, 29))
    judge(home, date(1998, 7, 2))
    text = client.get(address).text
    assert "1998-06-29 <b>50.00</b> · 1998-07-01 <b>50.00</b></p>" in text

    override = Override(
        "the rule is <wrong>, not the data", "ada", "validate", "manual__1", datetime(1998, 7, 1)
    )
    judge(home, NIGHT, FAILED, override=override)
    text = client.get(address).text
    assert "published although stopped" in text
    assert (
        "ada published it (validate, manual__1, 1998-07-01 00:00:00): the rule is &lt;wro" in text
    )


def test_predictions_of_an_older_night_are_marked_stale(client: TestClient, home: Path) -> None:
    put(home, "reports/customer_segmentation/kmeans_1998-06-29_v1.html")
    judge(home, date(1998, 6, 29))
    assert "Stale" not in client.get("/amato/reports/").text
    judge(home, NIGHT, FAILED)
    text = client.get("/amato/reports/").text
    assert "since 1998-07-01" in text and "still those of 1998-06-29" in text
    assert "a_rule failed on marts.customer_rfm" in text
    judge(
        home,
        NIGHT,
        FAILED,
        override=Override("checked by hand", "a", "b", "c", datetime(1998, 7, 1)),
    )
    text = client.get("/amato/reports/").text
    assert "is published, and it is not scored yet" in text and "1998-06-29 (kmeans)" in text
    put(home, "reports/customer_segmentation/kmeans_1998-07-01_v1.html")
    assert "Stale" not in client.get("/amato/reports/").text
    judge(home, NIGHT, FAILED)  # once more, after it was scored
    assert "still those of 1998-07-01 (kmeans)" in client.get("/amato/reports/").text


def test_a_night_that_is_not_judged_as_it_stands_has_no_verdict(
    client: TestClient, home: Path
) -> None:
    put(home, "reports/customer_segmentation/kmeans_1998-07-01_v1.html")
    judge(home, date(1998, 6, 29))
    judge(home, NIGHT)
    assert "Stale" not in client.get("/amato/reports/").text
    write_unjudged_file(home, NIGHT)  # what a build begins with
    text = client.get("/amato/reports/").text
    assert "Stale" in text and "the gate has not judged it as it stands" in text
    write_run_page(home, dag_id="nightly", run_id=RUN, as_of=NIGHT)
    text = client.get("/amato/runs/nightly/scheduled__1998-07-01T01%3A00%3A00%2B00%3A00").text
    assert "was not validated yet" in text


def test_a_run_shows_its_loads_and_where_sources_differ(client: TestClient, home: Path) -> None:
    load = {
        **{"read": 12_345, "inserted": 12_000, "updated": 340, "deleted": 6, "rejected": 5},
        **{"bytes": 2_500_000, "rows_per_second": 98_765, "differences": []},
    }
    drifted = {**load, "read": 0, "rows_per_second": None, "differences": ["<b>: missing"]}
    address = "/amato/runs/nightly/scheduled__1998-07-01T01%3A00%3A00%2B00%3A00"
    write_run_page(home, "nightly", RUN, NIGHT, {"raw_mysql.customers": load})
    text = client.get(address).text
    for figure in ("raw_mysql.customers", "12,345", "12,000", "340", "98,765", "2.5 MB"):
        assert figure in text
    assert "Every source has the columns that its contract declares." in text
    write_run_page(home, "nightly", RUN, NIGHT, {"raw_mysql.customers": drifted})
    text = client.get(address).text
    assert "&lt;b&gt;: missing" in text and "<b>:" not in text
    # A run that loads nothing has no such part.
    write_run_page(home, "nightly", RUN, NIGHT)
    assert "Sources and contracts" not in client.get(address).text


def test_every_verdict_has_words() -> None:
    from typing import get_args, get_type_hints

    from plugins.amato_pages.markup import VERDICTS

    assert set(VERDICTS) == set(get_args(get_type_hints(GateResult)["verdict"]))


def test_a_server_without_amato_home_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMATO_HOME")
    answer = client.get("/amato/docs/")
    assert answer.status_code == 503
    assert "AMATO_HOME" in answer.text


def test_airflow_loads_the_plugin_and_only_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow._shared.module_loading import find_path_from_directory
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    folder = Path(__file__).resolve().parents[2] / "plugins"
    found = find_path_from_directory(str(folder), ".airflowignore", "glob")
    assert [Path(path).name for path in found if path.endswith(".py")] == ["amato_plugin.py"]
    views = [ExternalViewResponse.model_validate(view) for view in AmatoPlugin.external_views]
    assert [(view.name, view.destination, view.category) for view in views] == [
        ("Model reports", "nav", "AMATO"),
        ("Data Docs", "nav", "AMATO"),
        ("dbt docs", "nav", "AMATO"),
        ("Reports", "dag_run", None),
    ]
    assert [view.href for view in views] == [
        "/amato/reports/",
        "/amato/data_docs/",
        "/amato/docs/",
        "/amato/runs/{DAG_ID}/{RUN_ID}",
    ]
    assert len({view.url_route for view in views}) == 4
