"""`stage`: where in their journey customers are, and where they will be next month."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from ml.artefacts import ArtefactError
from ml.journey_simulation import boosting, stage_model
from ml.journey_simulation import stage_judge as judging
from ml.journey_simulation.config import (
    FAMILY,
    MONTH_DAYS,
    STAGE,
    STAGE_NAMES,
    StageConfig,
)
from ml.journey_simulation.history import (
    DATA_SOURCE,
    Floats,
    History,
    Ints,
    day_number,
    read_history,
)
from ml.journey_simulation.scores import intervals, macro_f1
from ml.journey_simulation.stage_data import (
    CURRENT_FEATURES,
    NEXT_FEATURES,
    StageData,
    data_fingerprint,
    stage_data,
)
from ml.journey_simulation.stage_model import StageFit, Teller
from ml.journey_simulation.stage_report import Night, report_parts
from ml.journey_simulation.stage_scoring import ToScore, characteristics, to_score
from ml.journey_simulation.stages import stages_between
from ml.metrics import Metric
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored

ABOUT = "stage.json"
PARTS = {"current": CURRENT_FEATURES, "next": NEXT_FEATURES}
FORMAT = 1


@dataclass(frozen=True)
class StageModel(Model[StageData, StageFit, ToScore]):
    """Boosted trees for the current stage and next month's; the baseline is `last_stage`.

    stage_confidence and next_stage_confidence are the chances of the stages that are named.
    observed_stage_name is the current stage by the published rule itself. The run's option
    `less_abandonment` (0 to 1) sets the what-if of the report.
    """

    name = STAGE
    family = FAMILY
    baseline = judging.BASELINE
    title = "Customer journeys"
    subtitle = "The stage of every customer, where they go next, and what would change it."
    data_source = DATA_SOURCE
    result_columns = (
        "customer_id",
        "predicted_journey_stage",
        "predicted_stage_name",
        "stage_confidence",
        "stage_characteristics",
        "next_stage",
        "next_stage_name",
        "next_stage_confidence",
        "observed_stage_name",
    )
    features = tuple(dict.fromkeys((*CURRENT_FEATURES, *NEXT_FEATURES)))
    horizon_days = MONTH_DAYS
    config: StageConfig = field(default_factory=StageConfig)

    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return asdict(self.config)

    def read(self, conn: psycopg.Connection, scope: Scope) -> StageData:
        """See `Model.read`."""
        history = read_history(conn, scope.as_of)
        return stage_data(history, float(day_number(scope.cutoff)), self.config)

    def fingerprint(self, data: StageData) -> str:
        """See `Model.fingerprint`."""
        return data_fingerprint(data)

    def rows(self, data: StageData) -> int:
        """Return how many customers had been seen before the cutoff."""
        return data.seen

    def too_little(self, data: StageData) -> str | None:
        """See `Model.too_little`."""
        needed = self.config.tuning_origins + 1
        months = min(len(data.next_train), len(data.current_train))
        if months < needed:
            return f"the history before the window has {months} whole months; {needed} are needed"
        if data.seen < self.config.min_customers:
            return f"{data.seen} customers were seen; {self.config.min_customers} are needed"
        return None

    def fit_baseline(self, data: StageData) -> StageFit:
        """See `Model.fit_baseline`."""
        return stage_model.fit_baseline(data)

    def fit(self, data: StageData, previous: StageFit | None) -> StageFit:
        """See `Model.fit`."""
        return stage_model.fit(data, self.config)

    def judge(
        self, data: StageData, challenger: StageFit, baseline: StageFit, champion: StageFit
    ) -> Judgement:
        """See `Model.judge`."""
        return judging.judge(data, challenger, baseline, champion, self.config)

    def dump(self, fitted: StageFit) -> dict[str, bytes]:
        """See `Model.dump`."""
        about: dict[str, Any] = {"format": FORMAT}
        files: dict[str, bytes] = {}
        for part, names in PARTS.items():
            teller: Teller = getattr(fitted, part)
            about[part] = {
                "features": list(names),
                "stays": teller.stays.tolist(),
                "prior": teller.prior.tolist(),
                "power": teller.power,
            }
            if teller.booster is not None:
                files[f"{part}.ubj"] = boosting.to_bytes(teller.booster)
        return files | {ABOUT: json.dumps(about, sort_keys=True).encode()}

    def load(self, files: Mapping[str, bytes]) -> StageFit:
        """See `Model.load`."""
        if ABOUT not in files:
            raise ArtefactError(f"the artefact has no {ABOUT}")
        try:
            about = json.loads(files[ABOUT])
            if about["format"] != FORMAT:
                raise ArtefactError(f"the artefact is of format {about['format']}, not {FORMAT}")
            return StageFit(**{part: _teller(part, about[part], files) for part in PARTS})
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"{ABOUT} cannot be read: {error}") from error

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> ToScore:
        """See `Model.read_scoring`."""
        history = read_history(conn, scope.as_of)
        return to_score(history, float(day_number(scope.cutoff)), self.config)

    def score(self, fitted: StageFit, data: ToScore, scope: Scope) -> pd.DataFrame:
        """See `Model.score`."""
        stage, sure = _told(fitted.current, data.current, data.window_before)
        following, next_sure = _told(fitted.next, data.following, data.last_month)
        names = np.array(STAGE_NAMES, dtype=object)
        return pd.DataFrame(
            {
                "entity_type": "customer",
                "entity_id": list(data.customer_ids),
                "target_date": scope.as_of + timedelta(days=MONTH_DAYS),
                "customer_id": list(data.customer_ids),
                "predicted_journey_stage": stage,
                "predicted_stage_name": names[stage],
                "stage_confidence": np.round(sure, 6),
                "stage_characteristics": characteristics(data, stage),
                "next_stage": following,
                "next_stage_name": names[following],
                "next_stage_confidence": np.round(next_sure, 6),
                "observed_stage_name": names[data.observed],
            }
        )

    def report(self, scored: Scored[StageFit, ToScore]) -> ReportParts:
        """See `Model.report`."""
        data, fitted = scored.data, scored.fitted
        table = scored.table.set_index("customer_id").loc[list(data.customer_ids)]
        night = Night(
            observed=data.observed,
            predicted=table["predicted_journey_stage"].to_numpy(dtype=np.int64),
            last_month=data.last_month,
            forecast=fitted.next.chances(data.following, data.last_month),
            unseen=int((~data.seen).sum()),
            window=f"{scored.scope.cutoff} to {scored.scope.as_of}",
            transitions=data.transitions,
        )
        share = scored.scope.options.get("less_abandonment", self.config.less_abandonment)
        return report_parts(night, replace(self.config, less_abandonment=float(share)))

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare the forecast of a night with the stages of the month after it."""
        history = read_history(conn, as_of)
        return realized(history, predictions, float(day_number(made)), self.config)


def _teller(part: str, about: Mapping[str, Any], files: Mapping[str, bytes]) -> Teller:
    if about["features"] != list(PARTS[part]):
        raise ArtefactError(f"the {part} stage has been learnt from other features than these")
    name = f"{part}.ubj"
    return Teller(
        booster=boosting.from_bytes(files[name], PARTS[part]) if name in files else None,
        stays=np.array(about["stays"], dtype=np.float64),
        prior=np.array(about["prior"], dtype=np.float64),
        power=float(about["power"]),
    )


def _told(teller: Teller, x: pd.DataFrame, last: Ints) -> tuple[Ints, Floats]:
    """Return the stages that are named [n], and the chances of these [n]."""
    chances = teller.chances(x, last)
    stage = teller.names(chances, last)
    return stage, chances[np.arange(len(stage)), stage]


def realized(
    history: History, predictions: pd.DataFrame, made: float, config: StageConfig
) -> Outcome | None:
    """Return how the stages named for the month after the day `made` did.

    The confidences promise an accuracy: their mean. It has decayed where the realized accuracy
    is below that beyond noise, and by a tenth of it or more.
    """
    rows = {customer: i for i, customer in enumerate(history.customer_ids)}
    kept = predictions[predictions["customer_id"].isin(rows)]
    if kept.empty:
        return None
    where = np.array([rows[customer] for customer in kept["customer_id"]], dtype=np.int64)
    stage = stages_between(history, made, made + MONTH_DAYS)[where]
    named = kept["next_stage"].to_numpy(dtype=np.int64)
    promised = kept["next_stage_confidence"].to_numpy(dtype=np.float64)

    def figures(weight: Floats) -> tuple[float, ...]:
        n = weight.sum()
        right = float(weight @ (named == stage) / n)
        return macro_f1(stage, named, weight), right, right - float(weight @ promised / n)

    f1, right, more = intervals(figures, where, config.resamples, config.random_state)
    expected = float(promised.mean())
    metrics = (
        Metric("outcome_next_macro_f1", f1.value, f1.low, f1.high),
        Metric("outcome_next_accuracy", right.value, right.low, right.high, "promised",
               round(expected, 6)),
    )  # fmt: skip
    decayed = None
    if more.high < 0 and more.value < -0.1 * expected:
        decayed = f"{right.value:.3f} of the stages came true, promised were {expected:.3f}"
    return Outcome(metrics, decayed)
