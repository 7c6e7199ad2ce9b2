"""The MLflow server, behind a password: `python -m local_stack.mlflow_serve HOST PORT`.

One process: `mlflow server` keeps a second one beside it that only waits, and would be given the
store's address, password included, on a command line to bring an older store up to date.

The environment says the rest: the store's address (MLFLOW_BACKEND_STORE_URI), the folder of the
artefacts (MLFLOW_ARTIFACTS_DESTINATION), and the password (AMATO_MLFLOW_PASSWORD) of the user
`admin`.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

USER = "admin"
OPEN_PATH = "/health"


class PasswordGuard:
    """Lets through only who gives the password (HTTP basic), and anybody to the health check."""

    def __init__(self, app: ASGIApp, password: str) -> None:
        self._app = app
        self._expected = b"Basic " + base64.b64encode(f"{USER}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.responses import PlainTextResponse

        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if scope["path"] == OPEN_PATH or secrets.compare_digest(given, self._expected):
                await self._app(scope, receive, send)
            else:
                headers = {"WWW-Authenticate": 'Basic realm="MLflow"'}
                refusal = PlainTextResponse("`make env` prints the password\n", 401, headers)
                await refusal(scope, receive, send)


def main(host: str, port: int) -> None:
    """Bring the store to the installed version, making it where it is empty, and serve it."""
    # MLflow takes seconds to import, and looks for uvicorn to know that it is the server.
    import uvicorn
    from mlflow.db import upgrade
    from mlflow.server import constants

    store = os.environ["MLFLOW_BACKEND_STORE_URI"]
    upgrade.main([store], standalone_mode=False)
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = store
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = store
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = os.environ["MLFLOW_ARTIFACTS_DESTINATION"]
    from mlflow.server.fastapi_app import app

    # The assistant would run commands on this machine.
    app.router.routes[:] = [route for route in app.router.routes if not _is_assistant(route)]
    guarded = PasswordGuard(app, os.environ["AMATO_MLFLOW_PASSWORD"])
    uvicorn.run(guarded, host=host, port=port, access_log=False)


def _is_assistant(route: object) -> bool:
    return "/assistant" in getattr(route, "path", "")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
