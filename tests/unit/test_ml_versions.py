"""Names of versions say until when they have learnt, and change with all that decides a model."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ml.customer_segmentation.config import MODEL_FEATURES, SegmentationConfig
from ml.customer_segmentation.evaluate import split
from ml.customer_segmentation.kmeans import History, KMeansModel, history_fingerprint
from ml.features import FEATURE_COLUMNS, fingerprint
from ml.lifecycle import versions
from ml.lifecycle.versions import version_name
from ml.model import Model, Scope
from tests.unit.test_ml_segmentation import planted

SCOPE = Scope(date(1998, 7, 1))
MODEL = KMeansModel()
PRINT = "0" * 64


def test_a_name_says_until_when_and_what_kind() -> None:
    name = version_name(MODEL, SCOPE, "model", PRINT)
    assert name.startswith("1998-04-01-")
    assert len(name) == len("1998-04-01-") + 8
    assert name == version_name(KMeansModel(), Scope(date(1998, 7, 1), 3, {"a": 1}), "model", PRINT)
    simple = version_name(MODEL, SCOPE, "baseline", PRINT)
    assert simple.startswith("1998-04-01-") and simple.endswith("-baseline")
    assert simple != f"{name}-baseline"


def test_a_name_changes_with_settings_window_features_data_and_libraries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fewer(KMeansModel):
        features = MODEL_FEATURES[:3]

    def suffix(model: Model[object, object, object], scope: Scope, data: str) -> str:
        return version_name(model, scope, "model", data)[11:]

    names = [
        suffix(MODEL, SCOPE, PRINT),
        suffix(KMeansModel(replace(SegmentationConfig(), segments=4)), SCOPE, PRINT),
        suffix(MODEL, replace(SCOPE, window_months=2), PRINT),
        suffix(Fewer(), SCOPE, PRINT),
        suffix(MODEL, SCOPE, "1" * 64),
    ]
    monkeypatch.setattr(versions, "library_version", lambda name: f"next {name}")
    names.append(suffix(MODEL, SCOPE, PRINT))
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("months", "cutoff"), [(1, "06-01"), (2, "05-01"), (3, "04-01")])
def test_a_window_reaches_the_cutoff(months: int, cutoff: str) -> None:
    assert str(Scope(date(1998, 7, 1), months).cutoff) == f"1998-{cutoff}"


@pytest.mark.parametrize("months", [-1, 0, 4])
def test_a_window_that_the_platform_does_not_know_is_refused(months: int) -> None:
    with pytest.raises(ValueError, match="window_months must be 1, 2 or 3"):
        Scope(date(1998, 7, 1), months)


def test_a_fingerprint_changes_with_the_last_bit_of_a_feature_or_an_outcome() -> None:
    frame, _ = planted(20, 3)
    for column in FEATURE_COLUMNS:
        if column not in MODEL_FEATURES:
            frame[column] = 0.0
    parts = split(frame, SegmentationConfig())

    def data(fit: float = 1.0, held: float = 1.0) -> History:
        return History(
            parts, np.full(len(parts.fit), fit), np.full(len(parts.holdout), held), "1998-04-01"
        )

    first, next_up = history_fingerprint(data()), float(np.nextafter(1.0, np.inf))
    assert first == history_fingerprint(data())
    assert first != history_fingerprint(data(fit=next_up))
    assert first != history_fingerprint(data(held=next_up))
    before = fingerprint(frame)
    assert before == fingerprint(frame.copy())
    frame.loc[3, "monetary"] = np.nextafter(frame.loc[3, "monetary"], np.inf)
    assert fingerprint(frame) != before
