"""How long dbt takes at SCALE=1: all of it, and a night that adds one percent.

AMATO_BENCH_SCALE shrinks a trial run; limits are held to at SCALE=1 only. Every figure is kept in
``.local/bench/dbt.json``. A build is one process that imports dbt and builds the three layers as
the DAG's tasks do; its seconds are those of the layers and of importing dbt once.
"""

import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.generate import generate
from tests.benchmarks.measure import REPOSITORY, measure, python
from tests.conftest import Servers, fresh_warehouse
from tests.integration.source_support import FreshSources, Sources, open_sources
from tests.integration.test_dbt_truth import load_night

SCALE = float(os.environ.get("AMATO_BENCH_SCALE", "1"))
ARGS = WorldArgs(1, SCALE, DEFAULT_DAYS, date(2026, 1, 1))
# Of 730 days, these bring a bit more than one percent.
NIGHT = ARGS.as_of + timedelta(days=7)
# The limits of issue 5.
SECONDS, BARE_TIMES, NIGHT_SHARE, GROWTH = 120.0, 2.5, 1 / 3, 6.0
# Bytecode is kept, as it is wherever the platform runs.
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(REPOSITORY / ".local" / "bench" / "pycache"),
}

pytestmark = pytest.mark.timeout(3600)
_results: dict[str, Any] = {"scale": SCALE}
Tell = Callable[[str, Any], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints and keeps a figure."""

    def say(name: str, value: Any) -> None:
        _results[name] = round(value, 2) if isinstance(value, float) else value
        with capsys.disabled():
            print(f"\n  {name}: {_results[name]}", end="", flush=True)
        path = REPOSITORY / ".local" / "bench" / "dbt.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_results, indent=1) + "\n")

    return say


def build(name: str, url: str, home: Path, night: date, tell: Tell) -> float:
    """Build a night; returns the seconds of the process, and tells where they went."""
    job = python("-m", "tests.benchmarks.dbt_jobs", "build", night.isoformat(), str(home))
    measured = measure(job, {**ENVIRONMENT, "WAREHOUSE_URL": url})
    layers = [json.loads(line) for line in measured.output.splitlines() if line.startswith("{")]
    assert len(layers) == 3
    tell(name, measured.seconds)
    nodes = [node for layer in layers for node in layer["nodes"]]
    for layer in layers:
        tell(f"{name}, {layer['layer']}", layer["seconds"])
    for kind in sorted({kind for kind, *_ in nodes}):
        seconds = [seconds for found, _, seconds, _ in nodes if found == kind]
        tell(f"{name}, {len(seconds)} {kind}s, seconds in all threads", sum(seconds))
    slowest = sorted(nodes, key=lambda node: -node[2])[:15]
    tell(f"{name}, slowest", [f"{node} {seconds:.2f}" for _, node, seconds, _ in slowest])
    return measured.seconds


def hold(condition: bool, message: str) -> None:
    """Figures mean something at full size only."""
    if SCALE >= 1:
        assert condition, message


def test_a_build_and_a_night(
    warehouse_url: str, sources: Sources, tmp_path: Path, tell: Tell
) -> None:
    rows = generate(ARGS, **sources.all()).rows
    load_night(warehouse_url, sources, ARGS.as_of)
    build("warm", warehouse_url, tmp_path / "warm", ARGS.as_of, lambda name, value: None)
    whole = build("full build", warehouse_url, tmp_path / "home", ARGS.as_of, tell)
    job = python("-m", "tests.benchmarks.dbt_jobs", "bare", str(tmp_path / "home"))
    measured = measure(job, {**ENVIRONMENT, "WAREHOUSE_URL": warehouse_url})
    queries = json.loads(measured.output.splitlines()[-1])
    tell("bare queries", queries)
    times = whole / sum(queries.values())
    tell("full build / bare queries", times)

    more = generate(ARGS, NIGHT, **sources.all()).rows
    load_night(warehouse_url, sources, NIGHT)
    tell("rows", sum(rows.values()))
    tell("share of new rows", round(1 - sum(rows.values()) / sum(more.values()), 4))
    night = build("night", warehouse_url, tmp_path / "home", NIGHT, tell)
    tell("night / full build", night / whole)
    hold(whole < SECONDS, f"a build takes {whole:.0f} s")
    hold(times <= BARE_TIMES, f"a build takes {times:.1f} times its queries")
    hold(night < NIGHT_SHARE * whole, f"a night takes {night / whole:.0%} of a build")


def test_growth(servers: Servers, fresh_sources: FreshSources, tmp_path: Path, tell: Tell) -> None:
    """Five times the company. The second build counts: nothing is parsed, no unit test runs."""
    seconds: dict[int, list[float]] = {1: [], 5: []}
    for times in seconds:
        args = replace(ARGS, scale=SCALE * times)
        with contextmanager(fresh_warehouse)(servers) as url:
            with fresh_sources() as urls, open_sources(urls) as sources:
                tell(f"rows, {times}x", sum(generate(args, **sources.all()).rows.values()))
                load_night(url, sources, args.as_of)
            home = tmp_path / f"{times}x"
            for run in ("first build", "second build"):
                seconds[times].append(build(f"{run}, {times}x", url, home, args.as_of, tell))
    growth = [large / small for small, large in zip(seconds[1], seconds[5], strict=True)]
    tell("growth, first build", growth[0])
    tell("growth, second build", growth[1])
    hold(growth[1] <= GROWTH, f"five times the rows take {growth[1]:.1f} times as long")
