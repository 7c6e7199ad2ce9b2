"""The MLflow server: `python -m local_stack.mlflow_serve HOST PORT`.

One process: `mlflow server` keeps a second one beside it that only waits, and would be given the
store's address, password included, on a command line to bring an older store up to date.

The store's address comes from MLFLOW_BACKEND_STORE_URI, the folder of the artefacts from
MLFLOW_ARTIFACTS_DESTINATION.
"""

import os
import sys


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

    # The assistant would run commands on this machine for whoever reaches the port.
    app.router.routes[:] = [route for route in app.router.routes if not _is_assistant(route)]
    uvicorn.run(app, host=host, port=port, access_log=False)


def _is_assistant(route: object) -> bool:
    return "/assistant" in getattr(route, "path", "")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
