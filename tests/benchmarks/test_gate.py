"""How long the gate takes on a night at SCALE=1, the import of Great Expectations included.

AMATO_BENCH_SCALE shrinks a trial run; the limit is held to at SCALE=1 only. The figures are kept
in ``.local/bench/gate.json``.
"""

import json
import os
from datetime import date, timedelta
from pathlib import Path

import pytest

from dags.stages.dbt_build import LAYERS, build_layer
from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.generate import generate
from tests.benchmarks.measure import REPOSITORY, measure, python
from tests.integration.source_support import Sources
from tests.integration.test_dbt_truth import load_night

SCALE = float(os.environ.get("AMATO_BENCH_SCALE", "1"))
ARGS = WorldArgs(1, SCALE, DEFAULT_DAYS, date(2026, 1, 1))
NIGHTS = [ARGS.as_of, ARGS.as_of + timedelta(days=1)]
SECONDS = 60.0  # the limit of issue 6

pytestmark = pytest.mark.timeout(3600)


def test_a_night_is_judged(
    warehouse_url: str, sources: Sources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = python("-m", "tests.benchmarks.gate_jobs")
    imports = python("-c", "import great_expectations")
    environment = {"WAREHOUSE_URL": warehouse_url}
    measure(imports)  # once, so that its bytecode is there
    figures: dict[str, object] = {
        "scale": SCALE,
        "importing Great Expectations": round(measure(imports).seconds, 1),
    }
    for night in NIGHTS:
        generate(ARGS, night, **sources.all())
        load_night(warehouse_url, sources, night)
        for layer in LAYERS:
            build_layer(layer, night, tmp_path, warehouse_url)
        judged = measure([*job, night.isoformat(), str(tmp_path)], environment)
        verdict, expectations = judged.output.splitlines()[-2].split()
        assert verdict in ("passed", "passed_with_warnings"), judged.output
        figures[f"{night}, seconds"] = round(judged.seconds, 1)
        figures[f"{night}, expectations"] = int(expectations)
        figures[f"{night}, peak MB"] = judged.peak_mb
        if SCALE >= 1:
            assert judged.seconds < SECONDS, f"judging {night} takes {judged.seconds:.0f} s"
    with capsys.disabled():
        print(*(f"\n  {name}: {value}" for name, value in figures.items()), flush=True)
    path = REPOSITORY / ".local" / "bench" / "gate.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")
