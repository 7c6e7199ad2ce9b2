"""`conversion`: how likely each customer is to buy within the next 30 days, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from ml.artefacts import ArtefactError
from ml.journey_simulation import boosting
from ml.journey_simulation import conversion_judge as judging
from ml.journey_simulation import conversion_model as trees
from ml.journey_simulation.behaviour import CONVERSION_FEATURES, bought, conversion_features
from ml.journey_simulation.calibration import Platt, calibration_error
from ml.journey_simulation.config import CONVERSION, FAMILY, BoosterConfig, ConversionConfig
from ml.journey_simulation.conversion_model import ConversionFit
from ml.journey_simulation.conversion_report import categories_of, report_parts
from ml.journey_simulation.history import DATA_SOURCE, History, day_number, read_history
from ml.journey_simulation.origins import ConversionData, conversion_data, data_fingerprint
from ml.journey_simulation.reasons import insights, topic_shares
from ml.journey_simulation.scores import auc, intervals, log_losses
from ml.metrics import Metric
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored

ABOUT, TREES = "conversion.json", "conversion.ubj"
FORMAT = 1


@dataclass(frozen=True)
class ToScore:
    """Everybody known on the night: ids in byte order, and their features."""

    customer_ids: tuple[str, ...]
    x: pd.DataFrame


@dataclass(frozen=True)
class ConversionModel(Model[ConversionData, ConversionFit, ToScore]):
    """Calibrated boosted trees on orders and visits; the baseline is `recency_rate`.

    conversion_confidence is the probability of the likelier outcome, max(p, 1 - p): 0.5 says
    that nobody can tell, 1 that the outcome is all but certain. As the probabilities are
    calibrated, of the predictions with confidence c about the share c comes true.
    """

    name = CONVERSION
    family = FAMILY
    baseline = judging.BASELINE
    title = "Who will buy next"
    subtitle = "The chance of a purchase within the next 30 days, of every customer, and why."
    data_source = DATA_SOURCE
    result_columns = (
        "customer_id",
        "predicted_conversion_probability",
        "conversion_confidence",
        "conversion_category",
        "conversion_insights",
    )
    features = CONVERSION_FEATURES
    horizon_days = ConversionConfig.horizon_days
    config: ConversionConfig = field(default_factory=ConversionConfig)

    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return asdict(self.config)

    def read(self, conn: psycopg.Connection, scope: Scope) -> ConversionData:
        """See `Model.read`."""
        history = read_history(conn, scope.as_of)
        return conversion_data(history, float(day_number(scope.cutoff)), self.config)

    def fingerprint(self, data: ConversionData) -> str:
        """See `Model.fingerprint`."""
        return data_fingerprint(data)

    def rows(self, data: ConversionData) -> int:
        """Return how many customers were known on any training origin."""
        return len(set().union(*(origin.customers.tolist() for origin in data.train)))

    def too_little(self, data: ConversionData) -> str | None:
        """See `Model.too_little`."""
        needed = self.config.calibration_origins + 1
        if len(data.train) < needed:
            return (
                f"the history before the window has {len(data.train)} whole months; "
                f"{needed} are needed"
            )
        customers, buyers = self.rows(data), int(sum(origin.y.sum() for origin in data.train))
        if customers < self.config.min_customers:
            return f"{customers} customers are known; {self.config.min_customers} are needed"
        if buyers < self.config.min_purchasers:
            return f"{buyers} purchases to learn from; {self.config.min_purchasers} are needed"
        return None

    def fit_baseline(self, data: ConversionData) -> ConversionFit:
        """See `Model.fit_baseline`."""
        return trees.fit_baseline(data.train, self.config)

    def fit(self, data: ConversionData, previous: ConversionFit | None) -> ConversionFit:
        """See `Model.fit`."""
        return trees.fit(data.train, self.config)

    def judge(
        self,
        data: ConversionData,
        challenger: ConversionFit,
        baseline: ConversionFit,
        champion: ConversionFit,
    ) -> Judgement:
        """See `Model.judge`."""
        return judging.judge(data, challenger, baseline, champion, self.config)

    def dump(self, fitted: ConversionFit) -> dict[str, bytes]:
        """See `Model.dump`."""
        about = {
            "format": FORMAT,
            "rates": fitted.rates.tolist(),
            "platt": asdict(fitted.platt),
            "average": fitted.average,
            "settings": asdict(fitted.settings),
            "tuning": fitted.tuning,
            "features": list(self.features),
        }
        files = {ABOUT: json.dumps(about, sort_keys=True).encode()}
        if fitted.booster is not None:
            files[TREES] = boosting.to_bytes(fitted.booster)
        return files

    def load(self, files: Mapping[str, bytes]) -> ConversionFit:
        """See `Model.load`."""
        if ABOUT not in files:
            raise ArtefactError(f"the artefact has no {ABOUT}")
        try:
            about = json.loads(files[ABOUT])
            if about["format"] != FORMAT or about["features"] != list(self.features):
                raise ArtefactError("the artefact is of another format or of other features")
            return ConversionFit(
                rates=np.array(about["rates"], dtype=np.float64),
                booster=boosting.from_bytes(files[TREES], self.features)
                if TREES in files
                else None,
                platt=Platt(**about["platt"]),
                average=float(about["average"]),
                settings=BoosterConfig(**about["settings"]),
                tuning=str(about["tuning"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"{ABOUT} cannot be read: {error}") from error

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> ToScore:
        """See `Model.read_scoring`."""
        return to_score(read_history(conn, scope.as_of), self.config)

    def score(self, fitted: ConversionFit, data: ToScore, scope: Scope) -> pd.DataFrame:
        """See `Model.score`."""
        chance = np.round(trees.predict(fitted, data.x), 6)
        shares = topic_shares(fitted, data.x)
        return pd.DataFrame(
            {
                "entity_type": "customer",
                "entity_id": list(data.customer_ids),
                "target_date": scope.as_of + timedelta(days=self.config.horizon_days),
                "customer_id": list(data.customer_ids),
                "predicted_conversion_probability": chance,
                "conversion_confidence": np.maximum(chance, 1 - chance),
                "conversion_category": categories_of(chance),
                "conversion_insights": insights(fitted, data.x, shares),
            }
        )

    def report(self, scored: Scored[ConversionFit, ToScore]) -> ReportParts:
        """See `Model.report`."""
        table = scored.table.set_index("customer_id")
        chance = table.loc[list(scored.data.customer_ids), "predicted_conversion_probability"]
        until = scored.scope.as_of + timedelta(days=self.config.horizon_days)
        return report_parts(
            chance.to_numpy(dtype=np.float64),
            scored.data.x,
            topic_shares(scored.fitted, scored.data.x),
            self.config.horizon_days,
            str(until),
        )

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare the chances of a night with who bought in the days after it."""
        history = read_history(conn, as_of)
        return realized(history, predictions, float(day_number(made)), self.config)


def to_score(history: History, config: ConversionConfig) -> ToScore:
    """Return everybody of a history as of its end, to be scored."""
    return ToScore(history.customer_ids, conversion_features(history, float(config.horizon_days)))


def realized(
    history: History, predictions: pd.DataFrame, made: float, config: ConversionConfig
) -> Outcome | None:
    """Return how the chances of the day `made` did, and whether they broke their promise.

    A set of calibrated chances promises a log loss of its own: the mean of what each chance
    expects of itself. It has decayed where the realized loss is above that beyond noise, or the
    calibration error is 0.05 or more.
    """
    rows = {customer: i for i, customer in enumerate(history.customer_ids)}
    kept = predictions[predictions["customer_id"].isin(rows)]
    if kept.empty:
        return None
    where = np.array([rows[customer] for customer in kept["customer_id"]], dtype=np.int64)
    y = bought(history, made, made + config.horizon_days)[where]
    p = kept["predicted_conversion_probability"].to_numpy(dtype=np.float64)
    promised = p * log_losses(p, np.ones(len(p))) + (1 - p) * log_losses(p, np.zeros(len(p)))
    lost = log_losses(p, y)

    def figures(weight: Any) -> tuple[float, float]:
        n = weight.sum()
        return float(weight @ lost / n), float(weight @ (lost - promised) / n)

    loss, excess = intervals(figures, where, config.resamples, config.random_state)
    error = calibration_error(p, y)
    metrics = [
        Metric("outcome_log_loss", loss.value, loss.low, loss.high, "promised",
               round(float(promised.mean()), 6)),
        Metric("outcome_calibration_error", round(error, 6)),
        Metric("outcome_share_that_bought", round(float(y.mean()), 6), baseline="promised",
               baseline_value=round(float(p.mean()), 6)),
    ]  # fmt: skip
    if 0 < y.sum() < len(y):
        metrics.append(Metric("outcome_auc", round(auc(p, y), 6)))
    decayed = None
    if excess.low > 0 and excess.value > 0.1 * float(promised.mean()):
        decayed = f"log loss {loss.value:.4f}, promised were {promised.mean():.4f}"
    elif error >= 0.05:
        decayed = f"the chances are off by {error:.3f} on average"
    return Outcome(tuple(metrics), decayed)
