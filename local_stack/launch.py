"""What supervisord runs: stops a service's leftovers, then becomes the service.

When the supervisor, or Airflow's scheduler, is killed outright, its children live on: executor
workers would run tasks beside the new scheduler's. So before a service starts, every process
that carries its mark is stopped.
"""

import json
import os
import sys
from pathlib import Path

from local_stack import processes
from local_stack.layout import REPOSITORY, Layout, write_private
from local_stack.supervision import Supervisor, spec_hash

PATIENCE_SECONDS = 30.0
# Executor workers without a scheduler ignore SIGTERM, and hold nothing that needs a clean end:
# a task that is cut off is run again.
AIRFLOW_PATIENCE_SECONDS = 3.0


def main(name: str) -> None:
    """Replace this process with the service `name` of the stack named by the environment."""
    layout = Layout(Path(os.environ[processes.ROOT_MARK]))
    patience = AIRFLOW_PATIENCE_SECONDS if name.startswith("airflow") else PATIENCE_SECONDS
    leftovers = processes.stop(layout.root, name, patience)
    if leftovers:
        pids = ", ".join(str(process.pid) for process in leftovers)
        print(f"stopped leftovers of {name}: {pids}", flush=True)
    spec = json.loads(Supervisor(layout).specs_file.read_text())[name]
    environment = {**os.environ, **spec["environment"], processes.SERVICE_MARK: name}
    write_private(layout.run / f"{name}.launched", spec_hash(spec))
    os.chdir(REPOSITORY)
    os.execvpe(spec["argv"][0], spec["argv"], environment)


if __name__ == "__main__":
    main(sys.argv[1])
