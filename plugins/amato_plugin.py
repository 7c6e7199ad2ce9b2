"""The Airflow plugin: dbt docs, Data Docs and model reports in the UI's own menu.

The pages are served at /amato by a small application, behind the UI's login. From a run, its
tab "Reports" opens the night that the run made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

Scope = MutableMapping[str, Any]


class Pages:
    """The application, built at the first request.

    Every Airflow process loads plugins, and only the API server answers requests: the others
    need not wait for a web framework to be imported.
    """

    def __init__(self) -> None:
        self._app: Callable[[Scope, Any, Any], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        if self._app is None:
            from plugins.amato_pages.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def _root() -> str:
    """The path under which Airflow itself is served, ending in a slash."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "/").path.rstrip("/") + "/"


def _view(name: str, path: str, route: str, **more: str) -> dict[str, str]:
    return {"name": name, "href": f"{_root()}amato/{path}", "url_route": route, **more}


class AmatoPlugin(AirflowPlugin):
    """Adds the menu entries, the tab on each run, and the pages behind them."""

    name = "amato"
    fastapi_apps = [  # noqa: RUF012  (the base class declares these as instance variables)
        {"app": Pages(), "url_prefix": "/amato", "name": "AMATO pages"}
    ]
    external_views = [  # noqa: RUF012
        _view("Model reports", "reports/", "amato-reports", category="AMATO", destination="nav"),
        _view("Data Docs", "data_docs/", "amato-data-docs", category="AMATO", destination="nav"),
        _view("dbt docs", "docs/", "amato-dbt-docs", category="AMATO", destination="nav"),
        _view("Reports", "runs/{DAG_ID}/{RUN_ID}", "amato-run", destination="dag_run"),
    ]
