"""K-means as a model of the platform."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from ml import artefacts
from ml.customer_segmentation import evaluate
from ml.customer_segmentation.config import (
    BASELINE,
    FAMILY,
    MODEL,
    MODEL_FEATURES,
    SegmentationConfig,
)
from ml.customer_segmentation.model import (
    Segmentation,
    distinct_points,
    fit,
    fit_spending_groups,
    from_content,
    predict,
    to_content,
)
from ml.customer_segmentation.profiles import profile_segments
from ml.customer_segmentation.report import report_parts
from ml.customer_segmentation.scoring import Customers, place, placed, result_columns
from ml.features import (
    DATA_SOURCE,
    customers_without_purchase,
    fingerprint,
    purchase_features,
    spending_between,
)
from ml.model import Judgement, Model, ReportParts, Scope, Scored

FILE = "model.skops"


@dataclass(frozen=True)
class History:
    """What a segmentation learns from.

    parts       customers to fit on and customers held out, with their features as of the cutoff
    fit_later   log(1 + what those to fit on spent in the window), in their order
    later       the same of those held out
    """

    parts: evaluate.Split
    fit_later: evaluate.Floats
    later: evaluate.Floats
    cutoff: str


def read_history(conn: psycopg.Connection, scope: Scope, config: SegmentationConfig) -> History:
    """Read customers as of the cutoff, and what they spent in the window after it."""
    parts = evaluate.split(purchase_features(conn, scope.cutoff), config)

    def spent(frame: pd.DataFrame) -> evaluate.Floats:
        amounts = spending_between(conn, scope.cutoff, scope.as_of, list(frame["customer_id"]))
        return np.asarray(np.log1p(np.maximum(amounts, 0.0)))

    return History(parts, spent(parts.fit), spent(parts.holdout), str(scope.cutoff))


def history_fingerprint(data: History) -> str:
    """Return the SHA-256 (hex) of features and outcomes."""
    digest = hashlib.sha256()
    for frame, later in ((data.parts.fit, data.fit_later), (data.parts.holdout, data.later)):
        digest.update(fingerprint(frame).encode())
        digest.update(later.astype("<f8").tobytes())
    return digest.hexdigest()


def read_customers(conn: psycopg.Connection, scope: Scope) -> Customers:
    """Read everybody who is to be placed on the night."""
    frame = purchase_features(conn, scope.as_of)
    return Customers(
        frame, customers_without_purchase(conn, scope.as_of, list(frame["customer_id"]))
    )


@dataclass(frozen=True)
class KMeansModel(Model[History, Segmentation, Customers]):
    """K-means over recency, frequency, spending and tenure; its baseline are spending groups."""

    name = MODEL
    family = FAMILY
    baseline = BASELINE
    title = "Customer segments"
    subtitle = "K-means segmentation: who your customers are, and what to do about each kind."
    data_source = DATA_SOURCE
    result_columns = result_columns(MODEL)
    features = MODEL_FEATURES
    config: SegmentationConfig = field(default_factory=SegmentationConfig)

    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return asdict(self.config)

    def read(self, conn: psycopg.Connection, scope: Scope) -> History:
        """See `Model.read`."""
        return read_history(conn, scope, self.config)

    def fingerprint(self, data: History) -> str:
        """See `Model.fingerprint`."""
        return history_fingerprint(data)

    def rows(self, data: History) -> int:
        """Return how many customers are fit on."""
        return len(data.parts.fit)

    def too_little(self, data: History) -> str | None:
        """See `Model.too_little`."""
        customers = len(data.parts.fit) + len(data.parts.holdout)
        if customers < self.config.min_customers:
            return (
                f"{customers} customers had bought before {data.cutoff}; "
                f"{self.config.min_customers} are needed"
            )
        points = distinct_points(data.parts.fit)
        if points < self.config.segments:
            return (
                f"the customers who had bought before {data.cutoff} make only {points} different "
                f"profiles; {self.config.segments} segments need at least as many"
            )
        return None

    def fit_baseline(self, data: History) -> Segmentation:
        """See `Model.fit_baseline`."""
        return fit_spending_groups(data.parts.fit, self.config)

    def fit(self, data: History, previous: Segmentation | None) -> Segmentation:
        """See `Model.fit`."""
        return fit(data.parts.fit, self.config, previous)

    def judge(
        self,
        data: History,
        challenger: Segmentation,
        baseline: Segmentation,
        champion: Segmentation,
    ) -> Judgement:
        """Compare by what the groups tell of spending in the window (`evaluate.compare`)."""
        parts = data.parts
        own, base, theirs = (
            evaluate.Grouping(
                predict(model, parts.fit).segment, predict(model, parts.holdout).segment
            )
            for model in (challenger, baseline, champion)
        )
        judged = evaluate.compare(own, base, theirs, data.fit_later, data.later, self.config)
        shown = self.config.max_silhouette
        apart = evaluate.silhouette_metric(
            challenger.scaler.transform(parts.holdout)[:shown],
            own.holdout[:shown],
            base.holdout[:shown],
            self.config,
        )
        return Judgement((*judged.metrics, *apart), judged.gain, judged.headline)

    def dump(self, fitted: Segmentation) -> dict[str, bytes]:
        """See `Model.dump`."""
        return {FILE: artefacts.dump(to_content(fitted))}

    def load(self, files: Mapping[str, bytes]) -> Segmentation:
        """See `Model.load`."""
        return from_content(artefacts.restore(files[FILE]))

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> Customers:
        """See `Model.read_scoring`."""
        return read_customers(conn, scope)

    def score(self, fitted: Segmentation, data: Customers, scope: Scope) -> pd.DataFrame:
        """See `Model.score`."""
        names = dict(enumerate(fitted.names))
        return place(self.name, data, predict(fitted, data.frame), names, scope.as_of)

    def report(self, scored: Scored[Segmentation, Customers]) -> ReportParts:
        """See `Model.report`."""
        profiles = profile_segments(
            scored.data.frame,
            placed(self.name, scored.table),
            dict(enumerate(scored.fitted.names)),
            (scored.scope.as_of - scored.scope.cutoff).days,
        )
        return report_parts(profiles, scored.scope)
