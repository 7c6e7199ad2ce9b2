"""What the benchmark of the gate runs as processes of their own.

``python -m tests.benchmarks.gate_jobs judge NIGHT HOME`` judges a night as the task ``run_gate``
does, and prints how many expectations there were; ``import`` imports Great Expectations only. The
warehouse's address is in WAREHOUSE_URL.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path

from tests.benchmarks.measure import tell_peak


def judge(night: date, home: Path) -> None:
    """Run the gate; prints its verdict and the number of expectations."""
    from dags.stages.gate import run_gate

    result = run_gate(night, home, os.environ["WAREHOUSE_URL"])
    print(f"{result.verdict} {len(result.outcomes)}", flush=True)


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    if job == "judge":
        judge(date.fromisoformat(arguments[0]), Path(arguments[1]))
    else:
        import great_expectations  # noqa: F401 (what it costs is what is measured)
    tell_peak()
