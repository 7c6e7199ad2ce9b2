"""MLflow's REST API, so far as the models' runs and versions need it.

Importing MLflow's own client takes a task 3 to 6 seconds of processor time and 300 MB. The server
has both in its process already, and it alone knows the password of the store.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests

API = "api/2.0/mlflow"
ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"
REQUEST_SECONDS = 60
PAGE = 1000
NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
REMEDY = (
    "nothing of the models is lost, the warehouse has all of it: see that MLflow runs "
    "(`make status`, `make up`), then clear this task, or leave it to the next night"
)


class TrackingError(RuntimeError):
    """MLflow refused a request."""


class TrackingUnreachableError(TrackingError, ConnectionError):
    """MLflow did not answer."""


class MlflowApi:
    """Requests to one MLflow server, with an address like `http://127.0.0.1:5000`.

    `login` is the user and the password that it asks for.
    """

    def __init__(
        self, uri: str, session: requests.Session, login: tuple[str, str] | None = None
    ) -> None:
        self.uri = uri.rstrip("/")
        self._session = session
        # No proxy, and no login out of a netrc file.
        self._session.trust_env = False
        self._session.auth = login

    def call(self, method: str, path: str, **values: Any) -> dict[str, Any]:
        """Do one request; `values` are its query (GET) or its JSON body.

        Raises:
            TrackingUnreachableError: there is no answer.
            TrackingError: the answer is an error.
        """
        kind = "params" if method == "GET" else "json"
        answer = self._send(method, f"{API}/{path}", **{kind: values})
        found: dict[str, Any] = answer.json()
        return found

    def find(self, path: str, **values: Any) -> dict[str, Any] | None:
        """Do one GET request; None where what it asks for does not exist."""
        try:
            return self.call("GET", path, **values)
        except TrackingError as error:
            if NOT_FOUND in str(error):
                return None
            raise

    def pages(self, method: str, path: str, key: str, **values: Any) -> list[dict[str, Any]]:
        """Return all entries under `key` of an answer that comes in pages."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            answer = self.call(method, path, max_results=PAGE, **values, **more)
            found += answer.get(key, [])
            token = answer.get("next_page_token", "")
            if not token:
                return found

    def upload(self, artifact_uri: str, name: str, data: bytes) -> None:
        """Keep a file among a run's artifacts, in place of one of that name."""
        folder = artifact_uri.removeprefix("mlflow-artifacts:/")
        self._send("PUT", f"{ARTIFACTS}/{quote(folder)}/{quote(name)}", data=data)

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        try:
            answer = self._session.request(
                method, f"{self.uri}/{path}", timeout=REQUEST_SECONDS, **arguments
            )
        except requests.RequestException as error:
            raise TrackingUnreachableError(
                f"MLflow at {self.uri} does not answer ({type(error).__name__}); {REMEDY}"
            ) from error
        if not answer.ok:
            raise TrackingError(
                f"MLflow at {self.uri} refused {path} ({answer.status_code}): "
                f"{answer.text[:500]}; {REMEDY}"
            )
        return answer
