"""How long all models take to train and to score, how much memory, and how that grows.

The marts are those of a generated company with its default defects, built as the DAG builds them.
AMATO_BENCH_SCALE is the smaller of the two sizes; AMATO_BENCH_SEED the company's seed. Limits are
held to at SCALE=1. Every figure is kept in ``.local/bench/models.json``.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dags.stages.dbt_build import LAYERS, build_layer
from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.generate import generate
from ml.catalogue import CATALOGUE
from tests.benchmarks.measure import REPOSITORY, measure, python
from tests.integration.source_support import Sources
from tests.integration.test_dbt_truth import load_night

SCALE = float(os.environ.get("AMATO_BENCH_SCALE", "1"))
SEED = int(os.environ.get("AMATO_BENCH_SEED", "1"))
AS_OF = date(2026, 1, 1)
# The limits of issue 7: seconds of all models one after the other, growth to five times the
# size, and megabytes of the largest process.
TRAINING, INFERENCE, GROWTH, MEMORY = 360.0, 60.0, 6.0, 4096.0

pytestmark = pytest.mark.timeout(7200)


@dataclass(frozen=True)
class Life:
    """What one size of the company took, by model and kind: seconds, peak MB, and the result."""

    runs: dict[tuple[str, str], tuple[float, float, dict[str, Any]]]

    def seconds(self, kind: str) -> float:
        """Seconds of all models, one after the other."""
        return sum(seconds for (_, found), (seconds, *_) in self.runs.items() if found == kind)

    def peak(self) -> float:
        """Megabytes of the largest process."""
        return max(peak for _, peak, _ in self.runs.values())


def live(url: str, sources: Sources, home: Path, args: WorldArgs) -> Life:
    """Make a company, load and build its night, train and score with every model."""
    generate(args, **sources.all())
    load_night(url, sources, args.as_of)
    for layer in LAYERS:
        build_layer(layer, args.as_of, home, url)
    runs = {}
    for model in CATALOGUE:
        for kind in ("train", "infer"):
            job = python(
                "-m", "tests.benchmarks.models_jobs", kind, model, str(args.as_of), str(home)
            )
            measured = measure(job, {"WAREHOUSE_URL": url, "PYTHONDONTWRITEBYTECODE": ""})
            (line,) = (line for line in measured.output.splitlines() if line.startswith('{"'))
            runs[model, kind] = measured.seconds, measured.peak_mb, json.loads(line)
    return Life(runs)


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Any]]:
    """Figures by name, kept in a file at the end."""
    figures: dict[str, Any] = {"scale": SCALE, "seed": SEED}
    yield figures
    path = REPOSITORY / ".local" / "bench" / "models.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")


def tell(
    life: Life, scale: float, told: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Print and keep the figures of one size."""
    figures = {
        f"SCALE={scale:g}, {model}, {kind}": f"{seconds:.1f} s, {peak:.0f} MB; {result['message']}"
        for (model, kind), (seconds, peak, result) in life.runs.items()
    }
    for kind in ("train", "infer"):
        figures[f"SCALE={scale:g}, all models, {kind}, seconds"] = f"{life.seconds(kind):.1f}"
    told |= figures
    with capsys.disabled():
        print(*(f"\n  {name}: {value}" for name, value in figures.items()), flush=True)


def test_all_models_at_one_size(
    warehouse_url: str,
    sources: Sources,
    tmp_path: Path,
    told: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = WorldArgs(SEED, SCALE, DEFAULT_DAYS, AS_OF)
    life = live(warehouse_url, sources, tmp_path, args)
    tell(life, SCALE, told, capsys)
    if SCALE >= 1:
        assert {r["state"] for *_, r in life.runs.values()} == {"success"}
        assert life.seconds("train") < TRAINING
        assert life.seconds("infer") < INFERENCE
        assert life.peak() < MEMORY


def test_five_times_the_size_takes_at_most_six_times_as_long(
    warehouse_url: str,
    sources: Sources,
    tmp_path: Path,
    told: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = {
        kind: told.get(f"SCALE={SCALE:g}, all models, {kind}, seconds")
        for kind in ("train", "infer")
    }
    if None in small.values():
        pytest.fail("run the whole file: growth is over the smaller size, measured in this run")
    life = live(warehouse_url, sources, tmp_path, WorldArgs(SEED, 5 * SCALE, DEFAULT_DAYS, AS_OF))
    tell(life, 5 * SCALE, told, capsys)
    for kind in ("train", "infer"):
        assert life.seconds(kind) <= GROWTH * float(str(small[kind])), kind
    assert life.peak() < MEMORY
