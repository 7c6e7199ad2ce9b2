"""MLflow: the process that shows and keeps the runs and versions of the models."""

import sys
from urllib.parse import urlsplit

import requests

from local_stack.layout import Layout
from local_stack.mlflow_serve import USER
from local_stack.service import Service
from local_stack.settings import LOOPBACK

NAME = "mlflow"
#: What the server is told beside its addresses: it reports to nobody and runs no jobs of its own.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
REQUEST_SECONDS = 10


def base_url(port: int) -> str:
    """Address of the UI and the API."""
    return f"http://{LOOPBACK}:{port}"


def store_uri(url: str) -> str:
    """A database's URL in the form that MLflow takes."""
    return urlsplit(url)._replace(scheme="postgresql+psycopg2").geturl()


def client_environment(port: int, password: str) -> dict[str, str]:
    """What MLflow's clients, the tasks among them, need to know: where it is, and the login."""
    return {
        "MLFLOW_TRACKING_URI": base_url(port),
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": password,
    }


def service(layout: Layout, port: int, store_url: str, password: str) -> Service:
    """The server process. It alone knows the login of its database; `password` is its user's."""
    argv = (sys.executable, "-m", "local_stack.mlflow_serve", LOOPBACK, str(port))
    environment = {
        **SETTINGS,
        "MLFLOW_BACKEND_STORE_URI": store_uri(store_url),
        "MLFLOW_ARTIFACTS_DESTINATION": (layout.home / NAME).as_uri(),
        "AMATO_MLFLOW_PASSWORD": password,
    }
    return Service(NAME, argv, environment, stop_seconds=10)


def check(port: int) -> str | None:
    """None when the server answers, else why it does not (yet)."""
    try:
        answer = requests.get(f"{base_url(port)}/health", timeout=REQUEST_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        return f"{NAME}: {type(error).__name__}"
    return None
