"""What the benchmark of the models runs as a process of its own.

``python -m tests.benchmarks.models_jobs train|infer MODEL AS_OF HOME`` runs one model as its task
does, and prints its result as a line of JSON. The warehouse's address is in WAREHOUSE_URL.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path

import psycopg

from ml.model import Scope
from ml.run import infer_model, train_model
from tests.benchmarks.measure import tell_peak

if __name__ == "__main__":
    kind, model, as_of, home = sys.argv[1:]
    run = {"train": train_model, "infer": infer_model}[kind]
    with psycopg.connect(os.environ["WAREHOUSE_URL"], options="-c role=amato_scientist") as conn:
        result = run(model, conn, Scope(date.fromisoformat(as_of)), Path(home))
    print(json.dumps(result), flush=True)
    tell_peak()
