"""HDBSCAN as a model of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from ml import artefacts
from ml.customer_segmentation import evaluate
from ml.customer_segmentation.config import BASELINE, FAMILY, MODEL_FEATURES
from ml.customer_segmentation.density import NOISE, density_validity
from ml.customer_segmentation.density_model import (
    DensityConfig,
    DensitySegmentation,
    density_content,
    density_from_content,
    density_stability,
    fit_density,
    place_density,
)
from ml.customer_segmentation.kmeans import (
    History,
    history_fingerprint,
    read_customers,
    read_history,
)
from ml.customer_segmentation.model import (
    Assignment,
    Segmentation,
    fit_spending_groups,
    from_content,
    predict,
    to_content,
)
from ml.customer_segmentation.profiles import profile_segments
from ml.customer_segmentation.report import report_parts
from ml.customer_segmentation.scoring import Customers, place, placed, result_columns
from ml.customer_segmentation.stability import stability_metrics
from ml.evaluation import bootstrap_mean
from ml.features import DATA_SOURCE
from ml.metrics import Interval, Metric
from ml.model import Judgement, Model, ReportParts, Scope, Scored

MODEL = "hdbscan"
NO_PURCHASE_SEGMENT = -2
"""-1 is noise here."""

BASELINE_FILE, FILE = "baseline.skops", "model.skops"

Fitted = Segmentation | DensitySegmentation
"""A version: the baseline's spending groups, or density-based segments."""

_CONFIDENCE = (
    "Confidence is 1 for a customer in the dense core of a segment and nears 0 towards its rim; "
    "outliers have none."
)


def assign(fitted: Fitted, frame: pd.DataFrame) -> Assignment:
    """Place customers by a version of either kind."""
    if isinstance(fitted, DensitySegmentation):
        return place_density(fitted, frame)
    return predict(fitted, frame)


def segment_types(fitted: Fitted) -> dict[int, str]:
    """Return each segment's name by its id; noise is one where a version knows it."""
    if isinstance(fitted, DensitySegmentation):
        return fitted.types
    return dict(enumerate(fitted.names))


@dataclass(frozen=True)
class HdbscanModel(Model[History, Fitted, Customers]):
    """HDBSCAN over recency, frequency and tenure; its baseline are spending groups."""

    name = MODEL
    family = FAMILY
    baseline = BASELINE
    title = "Customer segments by density"
    subtitle = "HDBSCAN segmentation: groups that stand out, and customers who are like none."
    data_source = DATA_SOURCE
    result_columns = result_columns(MODEL)
    features = MODEL_FEATURES
    config: DensityConfig = field(default_factory=DensityConfig)

    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return asdict(self.config)

    def read(self, conn: psycopg.Connection, scope: Scope) -> History:
        """See `Model.read`."""
        return read_history(conn, scope, self.config.common)

    def fingerprint(self, data: History) -> str:
        """See `Model.fingerprint`."""
        return history_fingerprint(data)

    def rows(self, data: History) -> int:
        """Return how many customers are fit on."""
        return len(data.parts.fit)

    def too_little(self, data: History) -> str | None:
        """See `Model.too_little`."""
        customers = len(data.parts.fit) + len(data.parts.holdout)
        least = self.config.common.min_customers
        if customers < least:
            return f"{customers} customers had bought before {data.cutoff}; {least} are needed"
        neighbours = 2 * min(self.config.min_samples)
        if len(data.parts.fit) <= neighbours:
            return f"{len(data.parts.fit)} customers to fit on; more than {neighbours} are needed"
        return None

    def fit_baseline(self, data: History) -> Fitted:
        """See `Model.fit_baseline`."""
        return fit_spending_groups(data.parts.fit, self.config.common)

    def fit(self, data: History, previous: Fitted | None) -> Fitted:
        """See `Model.fit`; ids follow a previous version of the same kind."""
        kin = previous if isinstance(previous, DensitySegmentation) else None
        return fit_density(data.parts.fit, self.config, kin)

    def judge(
        self, data: History, challenger: Fitted, baseline: Fitted, champion: Fitted
    ) -> Judgement:
        """Compare by what the groups tell of spending in the window (`evaluate.compare`).

        A challenger with more noise among held-out customers than the budget, or without two
        segments whose validity index is defined, is not better than anything.
        """
        own, base, theirs = (
            evaluate.Grouping(
                assign(version, data.parts.fit).segment, assign(version, data.parts.holdout).segment
            )
            for version in (challenger, baseline, champion)
        )
        judged = evaluate.compare(own, base, theirs, data.fit_later, data.later, self.config.common)
        if not isinstance(challenger, DensitySegmentation):
            return judged
        noise = self._noise(own)
        validity = self._validity(challenger, data, own)
        of_base = self._validity(challenger, data, base)
        metrics = [
            *judged.metrics,
            Metric("noise_share", noise.value, noise.low, noise.high, BASELINE, 0.0),
            Metric(
                "segments", float(challenger.tree.segments), baseline=BASELINE, baseline_value=5
            ),
        ]
        if validity is not None:
            metrics.append(
                Metric(
                    "validity_index",
                    validity,
                    baseline=BASELINE if of_base is not None else None,
                    baseline_value=of_base,
                )
            )
            common = self.config.common
            metrics += stability_metrics(
                density_stability(challenger, self.config), common.resamples, common.random_state
            )
        gain, told = self._guarded(judged, noise, validity, challenger)
        return Judgement(tuple(metrics), gain, f"{judged.headline}; {told}")

    def _guarded(
        self,
        judged: Judgement,
        noise: Interval,
        validity: float | None,
        challenger: DensitySegmentation,
    ) -> tuple[Interval, str]:
        """Return the gain, or none beyond the bounds, and a word on segments and noise."""
        told = f"{challenger.tree.segments} segments, {noise.value:.0%} noise"
        gain = judged.gain
        if noise.value > self.config.noise_budget:
            over = f"{told}, more than the {self.config.noise_budget:.0%} allowed"
            return Interval(min(gain.value, 0.0), min(gain.low, 0.0), gain.high), over
        if validity is None:
            no = f"{told}: no two segments apart"
            return Interval(min(gain.value, 0.0), min(gain.low, 0.0), gain.high), no
        return gain, told

    def _noise(self, groups: evaluate.Grouping) -> Interval:
        if not len(groups.holdout):
            return Interval(0.0, 0.0, 0.0)
        common = self.config.common
        outside = (groups.holdout == NOISE).astype(np.float64)
        return bootstrap_mean(outside, common.resamples, common.random_state)

    def _validity(
        self, model: DensitySegmentation, data: History, groups: evaluate.Grouping
    ) -> float | None:
        """Return the validity index on held-out customers, or None where it is not defined."""
        return density_validity(
            model.density_points(data.parts.holdout),
            groups.holdout,
            self.config.max_validity,
            self.config.common.random_state,
        )

    def dump(self, fitted: Fitted) -> dict[str, bytes]:
        """See `Model.dump`."""
        if isinstance(fitted, DensitySegmentation):
            return {FILE: artefacts.dump(density_content(fitted))}
        return {BASELINE_FILE: artefacts.dump(to_content(fitted))}

    def load(self, files: Mapping[str, bytes]) -> Fitted:
        """See `Model.load`."""
        if BASELINE_FILE in files:
            return from_content(artefacts.restore(files[BASELINE_FILE]))
        return density_from_content(artefacts.restore(files[FILE]))

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> Customers:
        """See `Model.read_scoring`."""
        return read_customers(conn, scope)

    def score(self, fitted: Fitted, data: Customers, scope: Scope) -> pd.DataFrame:
        """See `Model.score`."""
        return place(
            self.name, data, assign(fitted, data.frame), segment_types(fitted), scope.as_of,
            NO_PURCHASE_SEGMENT,
        )  # fmt: skip

    def report(self, scored: Scored[Fitted, Customers]) -> ReportParts:
        """See `Model.report`."""
        profiles = profile_segments(
            scored.data.frame,
            placed(self.name, scored.table),
            segment_types(scored.fitted),
            (scored.scope.as_of - scored.scope.cutoff).days,
            NO_PURCHASE_SEGMENT,
        )
        if scored.is_baseline:
            return report_parts(profiles, scored.scope)
        return report_parts(profiles, scored.scope, _CONFIDENCE)
