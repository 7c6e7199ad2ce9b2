"""What the benchmark of the gate runs as a process of its own.

``python -m tests.benchmarks.gate_jobs NIGHT HOME`` judges a night as the task ``run_gate`` does,
and prints its verdict and the number of expectations. The warehouse's address is in WAREHOUSE_URL.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path

from dags.stages.gate import run_gate
from tests.benchmarks.measure import tell_peak

if __name__ == "__main__":
    night, home = sys.argv[1:]
    result = run_gate(date.fromisoformat(night), Path(home), os.environ["WAREHOUSE_URL"])
    print(f"{result.verdict} {len(result.outcomes)}", flush=True)
    tell_peak()
