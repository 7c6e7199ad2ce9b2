"""The application behind /amato: serves what the nights left in AMATO_HOME, to who is signed in.

It only reads: GET and HEAD, and files of four known folders.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dags.stages.run_pages import newest_verdict, read_run_page, read_verdict, score_history
from plugins.amato_pages import markup
from plugins.amato_pages.access import LoginNeededError, reader, run_reader
from plugins.amato_pages.files import HEADERS, find, send
from plugins.amato_pages.reports import list_reports

METHODS = ["GET", "HEAD"]


@dataclass(frozen=True)
class Site:
    """One generated folder of AMATO_HOME, and how it comes to be."""

    folder: str
    title: str
    remedy: str


SITES = {
    site.folder: site
    for site in (
        Site(
            "docs",
            "dbt docs",
            "They are written by the DAG transform (or nightly): run it, then open this again.",
        ),
        Site(
            "data_docs",
            "Data Docs",
            "They are written by the DAG validate (or nightly): run it, then open this again.",
        ),
        Site(
            "reports",
            "Model reports",
            "They are written by the DAGs train_models and batch_inference (or nightly): run "
            "them, then open this again.",
        ),
    )
}


def home_folder() -> Path:
    """AMATO_HOME, which the workers write to.

    Raises:
        HTTPException: 503 where it is not set for this server.
    """
    if not os.environ.get("AMATO_HOME"):
        raise HTTPException(503, "AMATO_HOME is not set: start the API server with it.")
    return Path(os.environ["AMATO_HOME"])


Home = Annotated[Path, Depends(home_folder)]


def create_app() -> FastAPI:
    """The application. It needs Airflow's auth manager at the first request, not before."""
    app = FastAPI(title="AMATO", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(LoginNeededError, _to_login)
    app.add_api_route("/", _front, methods=METHODS, dependencies=[Depends(reader)])
    app.add_api_route(
        "/runs/{dag_id}/{run_id:path}", _run, methods=METHODS, dependencies=[Depends(run_reader)]
    )
    app.add_api_route("/{folder}", _slash, methods=METHODS, dependencies=[Depends(reader)])
    app.add_api_route(
        "/{folder}/{name:path}", _file, methods=METHODS, dependencies=[Depends(reader)]
    )
    return app


def _front(request: Request) -> Response:
    """The front page is the list of reports."""
    return RedirectResponse(f"{_root(request)}reports/")


def _slash(request: Request, folder: str) -> Response:
    """A folder's address ends in a slash, for the relative links of its pages."""
    _site(folder)
    return RedirectResponse(f"{_root(request)}{folder}/")


def _file(request: Request, folder: str, name: str, home: Home) -> Response:
    """One file of a generated folder, the list of reports, or a page that says what to do."""
    site = _site(folder)
    root = _root(request)
    if folder == "reports" and not name:
        reports = list_reports(home / folder)
        if reports:
            return _page(markup.reports_page(root, reports, newest_verdict(home)))
    elif path := find(home / folder, name):
        if path.name == "index.html" and name and not name.endswith(("/", "index.html")):
            return RedirectResponse(f"{request.url.path}/")
        return send(request, path)
    if name and (home / folder).is_dir():
        return _page(markup.missing_page(root, site.title, "There is no such file."), status=404)
    return _page(markup.missing_page(root, site.title, site.remedy), status=404)


def _run(request: Request, dag_id: str, run_id: str, home: Home) -> Response:
    """What one run made."""
    run = read_run_page(home, dag_id, run_id)
    root = _root(request)
    if run is None:
        remedy = (
            f"{run_id} of {dag_id} has not written its page: the run's last task does, also when "
            "others failed. Reports and docs of all nights are under the links above."
        )
        return _page(markup.missing_page(root, "This run", remedy), status=404)
    wanted = [path.removeprefix("reports/") for path in run.reports]
    reports = list_reports(home / "reports", only=wanted)
    verdict, history = read_verdict(home, run.as_of), score_history(home, run.as_of)
    return _page(markup.run_page(root, run, verdict, reports, history))


def _site(folder: str) -> Site:
    if folder not in SITES:
        raise HTTPException(404, f"there is no page {folder!r}; see {', '.join(SITES)}")
    return SITES[folder]


def _root(request: Request) -> str:
    """The address of the pages: where Airflow mounted this application."""
    return f"{request.scope.get('root_path', '')}/"


def _page(text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def _to_login(_: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeededError)
    return RedirectResponse(error.address, status_code=303, headers={"Cache-Control": "no-store"})
