"""Experiments of generated companies against the truth that was planted in them.

``AMATO_TRUTH_SEEDS`` is the number of companies (default 3), ``AMATO_TRUTH_SCALE`` their size
(default 0.2; each has 50 experiments at 1).
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from scipy import stats

from data_generators.args import WorldArgs
from data_generators.company.world import World, make_world
from data_generators.tables import BUILDERS
from data_generators.tables.rows import Coded, Rows
from tests.integration.dbt_support import query
from tests.integration.experiment_support import (
    Experiment,
    build_experiments,
    fill_experiments,
    results,
    two_arms,
)

SEEDS = int(os.environ.get("AMATO_TRUTH_SEEDS", "3"))
SCALE = float(os.environ.get("AMATO_TRUTH_SCALE", "0.2"))
AS_OF = date(2026, 1, 1)
Z = 1.959963984540054
EVENTS = ("experiment_exposure", "experiment_conversion")


@dataclass(frozen=True)
class Truth:
    """What holds for one experiment."""

    lift: float  # relative, of those who saw variant B, novelty included
    rate: float
    split: float
    simpson: bool

    @property
    def is_sound(self) -> bool:
        return self.split == 0.5 and not self.simpson


def test_planted_lifts_splits_and_paradoxes_are_found(warehouse_url: str, tmp_path: Path) -> None:
    truth: dict[str, Truth] = {}
    companies = []
    experiments: list[Experiment] = []
    for seed in range(1, SEEDS + 1):
        world = make_world(WorldArgs(seed=seed, scale=SCALE, days=730, as_of=AS_OF))
        companies.append((seed, world))
        experiments += planted(seed, world, truth)
    fill_experiments(warehouse_url, experiments)
    for seed, world in companies:
        track(warehouse_url, seed, world)
    build_experiments(warehouse_url, tmp_path, AS_OF)
    found = results(warehouse_url)
    assert found.keys() == truth.keys()
    for table in ("sessions", "events"):
        assert query(warehouse_url, f"select count(*) from quality.quarantine_{table}") == [(0,)]

    # every broken split and every paradox, and (at one in a thousand each) hardly another
    broken = {key for key, it in truth.items() if it.split != 0.5}
    simpson = {key for key, it in truth.items() if it.simpson}
    assert len(broken) == len(simpson) == SEEDS
    named = {key for key, row in found.items() if row["has_sample_ratio_mismatch"]}
    assert broken <= named and len(named - broken) <= stats.binom.ppf(0.99, len(truth), 0.001)
    assert {key for key, row in found.items() if row["has_simpsons_reversal"]} == simpson
    tilted = {key for key, row in found.items() if row["has_device_mismatch"]}
    assert simpson <= tilted and len(tilted - simpson) <= stats.binom.ppf(0.99, len(truth), 0.001)
    for key in broken | simpson:
        assert (found[key]["winner"], found[key]["recommendation"]) == (None, "Fix the split")
    for key in simpson:
        assert found[key]["lift_percentage"] < 0 < found[key]["device_adjusted_lift_percentage"]

    over = [key for key, it in truth.items() if it.is_sound and found[key]["is_final"]]
    power = np.array([chance_to_find(truth[key], found[key]) for key in over])
    significant = np.array(
        [found[key]["statistical_significance"] == "significant" for key in over]
    )
    lifted = np.array([truth[key].lift != 0 for key in over])
    for part in (lifted, ~lifted):
        sd = math.sqrt((power[part] * (1 - power[part])).sum())
        # a half for the step of whole numbers
        assert abs(significant[part].sum() - power[part].sum()) <= 2.576 * sd + 0.5
    winners = [key for key, row in found.items() if row["winner"] in ("A", "B")]
    wrong = [
        key
        for key in winners
        if truth[key].lift == 0 or (truth[key].lift > 0) != (found[key]["winner"] == "B")
    ]
    assert len(winners) >= SEEDS
    assert len(wrong) <= stats.binom.ppf(0.99, len(winners), 0.05)


def planted(seed: int, world: World, truth: dict[str, Truth]) -> Iterator[Experiment]:
    """The experiments of a company as marketing reports them; notes what holds for each."""
    they = world.experiments
    day_0 = world.timeline.start.astype("datetime64[D]")
    for t in range(len(they)):
        shown, converted = they.impressions[t], they.conversions[t]
        since = day_0 + np.arange(shown.shape[1]) - they.starts[t]
        decay = np.exp(-np.maximum(since.astype(float), 0) / (they.novelty_days[t] or 1.0))
        lift = they.lift[t] + they.novelty[t] * decay
        of_b = max(shown[1].sum(), 1)
        key = f"{seed}-TEST_{t + 1:04d}"
        truth[key] = Truth(
            lift=float((lift * shown[1]).sum() / of_b),
            rate=float(they.rate[t]),
            split=float(they.split[t]),
            simpson=bool(they.simpson[t]),
        )
        yield two_arms(
            key,
            *(int(n) for n in (shown[0].sum(), converted[0].sum())),
            *(int(n) for n in (shown[1].sum(), converted[1].sum())),
            status="completed" if they.ends[t] < np.datetime64(AS_OF) else "running",
            end=they.ends[t].item(),
        )


def chance_to_find(it: Truth, row: dict[str, Any]) -> float:
    """The power of the test, given its sizes."""
    a, b = it.rate, it.rate * (1 + it.lift)
    n_a, n_b = row["variant_a_impressions"], row["variant_b_impressions"]
    spread = (1 + it.lift) * math.sqrt((1 - a) / (a * n_a) + (1 - b) / (b * n_b))
    shift = it.lift / spread
    return float(stats.norm.sf(Z - shift) + stats.norm.cdf(-Z - shift))


def track(url: str, seed: int, world: World) -> None:
    """Put the exposures of a company, and their sessions, into raw."""
    exposed = np.unique(world.exposures.session)
    with psycopg.connect(url) as conn:
        columns = "session_id, anonymous_id, customer_id, device_type, session_start"
        with conn.cursor().copy(
            f"copy raw_mongo.sessions (_id, _batch_id, _valid_from, {columns}, updated_at)"
            " from stdin".encode()
        ) as copy:
            for rows in BUILDERS["sessions"](world):
                for values in read(rows.take(np.isin(rows.number, exposed)), columns):
                    keys = [f"{seed}-{value}" if value else None for value in values[:3]]
                    copy.write_row([keys[0], 1, AS_OF, *keys, *values[3:], values[4]])
        # sessions of customers whom the shop does not have would be orphans
        conn.execute(
            "insert into raw_mysql.customers (row_id, _batch_id, _valid_from, customer_id)"
            " select 1000000 * %s::bigint + row_number() over (), 1, %s, customer_id from ("
            "select distinct customer_id from raw_mongo.sessions where customer_id like %s) as c",
            [seed, AS_OF, f"{seed}-%"],
        )
        columns = "event_id, session_id, event_type, event_data, timestamp"
        with conn.cursor().copy(
            f"copy raw_mongo.events (_id, _batch_id, _valid_from, {columns}, created_at)"
            " from stdin".encode()
        ) as copy:
            for rows in BUILDERS["events"](world):
                which = np.isin(as_objects(rows.columns["event_type"]), EVENTS)
                for event, session, kind, data, at in read(rows.take(which), columns):
                    key = f"{seed}-{event}"
                    arm = {"test_id": f"{seed}-{data['test_id']}", "variant": data["variant"]}
                    told = json.dumps(arm)
                    copy.write_row([key, 1, AS_OF, key, f"{seed}-{session}", kind, told, at, at])


def read(rows: Rows, columns: str) -> Iterator[tuple[Any, ...]]:
    """Some columns of the rows, as plain values."""
    parts = [as_objects(rows.columns[name]) for name in columns.split(", ")]
    return zip(*parts, strict=True)


def as_objects(column: Any) -> list[Any]:
    if isinstance(column, Coded):
        return list(column.values())
    if column.dtype.kind == "S":
        return [value.decode() for value in column]
    return list(column.tolist())
