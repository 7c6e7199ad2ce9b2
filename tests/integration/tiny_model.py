"""A small model on the contract: how many orders a day a shop will have, as one mean.

The baseline is the mean of all days. The challenger is that of some days, which settings choose, so
that a test can plant what it is worth. It is real all through: orders, table, artefact, outcome.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from ml import run
from ml.artefacts import ArtefactError
from ml.catalogue import CATALOGUE, Entry
from ml.evaluation import bootstrap_mean
from ml.metrics import Interval, Metric
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored, Section
from tests.integration.ml_support import Order, at, make_marts

FIRST = date(1998, 1, 1)
RISE = date(1998, 3, 1)
FALL = date(1998, 8, 1)
END = date(1998, 12, 1)

TABLE = """
set role amato_scientist;
create table ml.tiny_predictions (
    entity_type text not null,
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    tiny_orders double precision,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);
reset role;
"""


def days_between(start: date, end: date) -> Iterator[date]:
    """The days of [start, end)."""
    return (start + timedelta(days=i) for i in range((end - start).days))


def orders_of(day: date) -> int:
    """How many orders the shop has on a day: two or so, six or so from RISE on, one from FALL."""
    if day >= FALL:
        return 1
    return (6 if day >= RISE else 2) + day.toordinal() % 3 - 1


def make_shop(url: str) -> None:
    """A warehouse with the shop's orders and the model's table."""
    orders = [
        Order(f"{day}-{i}", f"C{i}", at(f"{day} 12:00"), Decimal(10))
        for day in days_between(FIRST, END)
        for i in range(orders_of(day))
    ]
    make_marts(url, orders, [], since=FIRST)
    with psycopg.connect(url) as conn:
        conn.execute(TABLE.encode())


@dataclass(frozen=True)
class Settings:
    """Which days the challenger learns from, and the error at which past predictions are bad."""

    days: int | None = 28
    lag: int = 0
    worst_error: float = 2.0


@dataclass(frozen=True)
class Tiny(Model[pd.DataFrame, float, int]):
    """The mean of some days before the cutoff."""

    name = "tiny"
    family = "tiny_family"
    baseline = "mean_of_all_days"
    title = "Orders a day"
    subtitle = "How many orders a day to expect."
    data_source = "marts.fct_orders"
    result_columns = ("tiny_orders",)
    features = ("orders",)
    horizon_days = 30
    config: Settings = field(default_factory=Settings)
    gain: Interval | None = None
    """What the judgement says whatever has been measured; None: what has been measured."""

    def settings(self) -> dict[str, Any]:
        return asdict(self.config)

    def read(self, conn: psycopg.Connection, scope: Scope) -> pd.DataFrame:
        days = pd.DataFrame({"day": list(days_between(FIRST, scope.as_of))})
        counted = dict(
            conn.execute(
                "select (order_date at time zone 'UTC')::date, count(*) from marts.fct_orders"
                " where order_date < (%s::date::timestamp at time zone 'UTC') group by 1",
                (scope.as_of,),
            ).fetchall()
        )
        return days.assign(
            orders=[float(counted.get(day, 0)) for day in days["day"]],
            known=days["day"] < scope.cutoff,
        )

    def fingerprint(self, data: pd.DataFrame) -> str:
        return hashlib.sha256(data.to_csv().encode()).hexdigest()

    def rows(self, data: pd.DataFrame) -> int:
        return int(data["known"].sum())

    def too_little(self, data: pd.DataFrame) -> str | None:
        return None if data["orders"].any() else "there are no orders"

    def fit_baseline(self, data: pd.DataFrame) -> float:
        return float(data.loc[data["known"], "orders"].mean())

    def fit(self, data: pd.DataFrame, previous: float | None) -> float:
        days, lag = self.config.days, self.config.lag
        if days is None:
            return self.fit_baseline(data)
        known = data.loc[data["known"], "orders"].to_numpy()
        return float(known[len(known) - lag - days : len(known) - lag].mean())

    def judge(
        self, data: pd.DataFrame, challenger: float, baseline: float, champion: float
    ) -> Judgement:
        later = data.loc[~data["known"], "orders"].to_numpy()
        own, base, theirs = (np.abs(later - mean) for mean in (challenger, baseline, champion))
        return Judgement(
            (Metric("mae", own.mean(), None, None, self.baseline, base.mean()),),
            self.gain or bootstrap_mean(theirs - own, 200, 1),
            f"expects {challenger:.2f} orders a day",
        )

    def dump(self, fitted: float) -> dict[str, bytes]:
        return {"mean.json": json.dumps(fitted).encode()}

    def load(self, files: Mapping[str, bytes]) -> float:
        try:
            return float(json.loads(files["mean.json"]))
        except ValueError as error:
            raise ArtefactError(f"no mean: {error}") from error

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> int:
        return len(conn.execute("select 1 from marts.fct_orders limit 1").fetchall())

    def score(self, fitted: float, data: int, scope: Scope) -> pd.DataFrame:
        days = list(days_between(scope.as_of, scope.as_of + timedelta(days=30 * data)))
        return pd.DataFrame(
            {"entity_type": "shop", "entity_id": "all", "target_date": days, "tiny_orders": fitted}
        )

    def report(self, scored: Scored[float, int]) -> ReportParts:
        said = f"Expect {scored.fitted:.2f} orders a day."
        section = Section("orders", "Orders", {"a_day": scored.fitted}, f"<p>{said}</p>")
        return ReportParts([said], [section], ["Staff the warehouse."])

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        assert made + timedelta(days=30) <= as_of
        seen = self.read(conn, Scope(as_of)).set_index("day")["orders"]
        happened = seen.loc[list(predictions["target_date"])].to_numpy()
        error = float(np.abs(happened - predictions["tiny_orders"].to_numpy(float)).mean())
        bad = error > self.config.worst_error
        return Outcome(
            (Metric("outcome_mae", error),), f"off by {error:.2f} orders a day" if bad else None
        )


def serve(patch: pytest.MonkeyPatch) -> None:
    """Put the model into the catalogue, beside the others."""
    patch.setitem(CATALOGUE, "tiny", Entry(Tiny.family, __name__, "Tiny"))


if __name__ == "__main__":
    # `python -m tests.integration.tiny_model watch ...`: as `python -m ml.run`, with this model.
    CATALOGUE["tiny"] = Entry(Tiny.family, "tests.integration.tiny_model", "Tiny")
    sys.exit(run.main())
