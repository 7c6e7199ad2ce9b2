"""The density-based segmentation: planted kinds of customers, ids that last, and when it loses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from ml import artefacts
from ml.customer_segmentation import evaluate
from ml.customer_segmentation.config import MODEL_FEATURES, NOISE_TYPE, SegmentationConfig
from ml.customer_segmentation.density import NOISE
from ml.customer_segmentation.density_model import (
    DensityConfig,
    density_content,
    density_from_content,
    density_stability,
    fit_density,
    place_density,
)
from ml.customer_segmentation.hdbscan_model import HdbscanModel
from ml.customer_segmentation.kmeans import History, KMeansModel
from ml.customer_segmentation.model import fit_spending_groups
from ml.customer_segmentation.stability import STABLE
from ml.features import FEATURE_COLUMNS

CONFIG = DensityConfig(
    common=SegmentationConfig(resamples=200),
    size_shares=(0.04,),
    min_samples=(5, 15),
    stability_resamples=4,
)

# Typical customers of each kind: days since last, purchases, spent, days since first.
PLANTED = {
    "Champions": (8, 25, 2500, 700),
    "New": (10, 1.5, 60, 20),
    "Occasional": (300, 1.5, 40, 500),
    "At-Risk": (400, 6, 500, 800),
}
LATER = {"Champions": 6.0, "New": 3.0, "Occasional": 0.5, "At-Risk": 1.0}


def planted(each: int, seed: int, spread: float = 0.15) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers scattered (in log space) around the typical ones, in a mixed order."""
    random = np.random.default_rng(seed)
    logs = np.log1p(np.array(list(PLANTED.values()), dtype=float))
    truth = random.permutation(np.repeat(np.arange(len(PLANTED)), each))
    values = np.expm1(logs[truth] + random.normal(0, spread, (len(truth), logs.shape[1])))
    frame = pd.DataFrame(np.maximum(values, 0), columns=list(MODEL_FEATURES))
    frame = frame.assign(**dict.fromkeys(set(FEATURE_COLUMNS) - set(MODEL_FEATURES), 0.0))
    frame.insert(0, "customer_id", [f"C{i:05d}" for i in range(len(frame))])
    return frame, truth


def history(frame: pd.DataFrame, later: np.ndarray) -> History:
    """What training reads, of these customers."""
    parts = evaluate.split(frame, CONFIG.common)
    spent = pd.Series(later, index=frame["customer_id"])
    of_fit, of_held = (spent[part["customer_id"]].to_numpy() for part in (parts.fit, parts.holdout))
    return History(parts, of_fit, of_held, "1998-04-01")


def telling(truth: np.ndarray, seed: int) -> np.ndarray:
    """Later spending that the kind of customer decides, but for chance."""
    mean = np.array(list(LATER.values()))[truth]
    return np.maximum(mean + np.random.default_rng(seed).normal(0, 1, len(truth)), 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_kinds_are_found_named_and_stable(seed: int) -> None:
    frame, truth = planted(200, seed)
    model = fit_density(frame, CONFIG)
    found = place_density(model, frame)
    assert adjusted_rand_score(truth, found.segment) >= 0.9
    names = np.array([model.types[s] for s in found.segment.tolist()])
    kept = found.segment != NOISE
    assert (names[kept] == np.array(list(PLANTED))[truth[kept]]).mean() >= 0.95
    fresh, kinds = planted(100, 90 + seed)
    assert adjusted_rand_score(kinds, place_density(model, fresh).segment) >= 0.9
    stable = density_stability(model, CONFIG)
    assert set(stable) == set(model.ids.tolist())
    assert min(values.mean() for values in stable.values()) >= STABLE


def test_a_stranger_to_all_kinds_is_an_outlier_without_confidence() -> None:
    frame, _ = planted(200, 3)
    stranger = frame.iloc[:1].assign(recency_days=1.0, frequency=4000.0, tenure_days=4000.0)
    found = place_density(fit_density(frame, CONFIG), stranger)
    assert (found.segment.tolist(), found.confidence.tolist()) == ([NOISE], [0.0])
    assert fit_density(frame, CONFIG).types[NOISE] == NOISE_TYPE


def test_ids_are_kept_across_trainings_and_never_given_to_another() -> None:
    frame, truth = planted(150, 4)
    first = fit_density(frame, CONFIG)
    again = fit_density(planted(150, 5)[0], CONFIG, first)
    assert dict(zip(again.ids.tolist(), again.names, strict=True)) == dict(
        zip(first.ids.tolist(), first.names, strict=True)
    )
    without = frame[truth != 1].reset_index(drop=True)  # nobody is new any more
    fewer = fit_density(without, CONFIG, first)
    of = {name: number for number, name in first.types.items()}
    for number in fewer.ids.tolist():
        assert number in first.ids.tolist()
        assert number != of["New"]
    # Those who come back later find no id taken that is not theirs.
    back = fit_density(frame, CONFIG, fewer)
    assert len(set(back.ids.tolist())) == 4
    assert set(fewer.ids.tolist()) <= set(back.ids.tolist())


def test_an_artefact_gives_back_the_same_places_and_bytes() -> None:
    frame, _ = planted(80, 6, spread=0.4)
    model = fit_density(frame, CONFIG)
    payload = artefacts.dump(density_content(model))
    assert payload == artefacts.dump(density_content(fit_density(frame.copy(), CONFIG)))
    again = density_from_content(artefacts.restore(payload))
    one, two = place_density(model, frame), place_density(again, frame)
    assert one.segment.tolist() == two.segment.tolist()
    assert one.confidence.tobytes() == two.confidence.tobytes()
    for damage in (
        {"about": "{}"}, {"centroids": np.zeros((1, 3))}, {"points": np.zeros((4, 2))},
    ):  # fmt: skip
        with pytest.raises(artefacts.ArtefactError):
            density_from_content(density_content(model) | damage)


def test_settings_that_no_training_could_honour_are_refused() -> None:
    for wrong in ({"noise_budget": 1.0}, {"size_shares": ()}, {"min_samples": (0,)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DensityConfig(**wrong)  # type: ignore[arg-type]


def test_it_is_better_where_its_groups_tell_what_customers_do_later() -> None:
    frame, truth = planted(300, 7)
    model, data = HdbscanModel(CONFIG), history(frame, telling(truth, 1))
    base = model.fit_baseline(data)
    judged = model.judge(data, model.fit(data, base), base, base)
    figures = {metric.name: metric for metric in judged.metrics}
    assert judged.gain.low > 0
    told = figures["later_spending_explained"]
    assert told.low is not None and told.baseline_value is not None
    assert told.low > told.baseline_value
    assert figures["validity_index"].value > 0
    assert figures["noise_share"].value < CONFIG.noise_budget
    assert figures["jaccard_least"].value >= STABLE


def test_it_is_not_better_where_later_spending_has_been_shuffled() -> None:
    frame, truth = planted(300, 8)
    later = np.random.default_rng(2).permutation(telling(truth, 2))
    model, data = HdbscanModel(CONFIG), history(frame, later)
    base = model.fit_baseline(data)
    judged = model.judge(data, model.fit(data, base), base, base)
    assert judged.gain.low <= 0


def test_with_too_much_noise_it_is_not_better_however_much_it_tells() -> None:
    frame, truth = planted(300, 9)
    data = history(frame, telling(truth, 3))
    model = HdbscanModel(CONFIG)
    base = model.fit_baseline(data)
    challenger = model.fit(data, base)
    strict = HdbscanModel(replace(CONFIG, noise_budget=1e-9))
    far = data.parts.holdout.assign(frequency=9999.0, tenure_days=9999.0)
    noisy = replace(data, parts=replace(data.parts, holdout=far))
    assert model.judge(data, challenger, base, base).gain.low > 0
    judged = strict.judge(noisy, challenger, base, base)
    assert judged.gain.low <= 0 and judged.gain.value <= 0
    assert "more than the 0% allowed" in judged.headline


def test_customers_without_any_structure_leave_the_baseline_its_place() -> None:
    random = np.random.default_rng(10)
    frame, _ = planted(100, 10)
    for column in MODEL_FEATURES:
        frame[column] = random.uniform(1, 50, len(frame))
    model = HdbscanModel(CONFIG)
    data = history(frame, random.normal(2, 1, len(frame)))
    base = model.fit_baseline(data)
    assert model.judge(data, model.fit(data, base), base, base).gain.low <= 0


def test_both_kinds_of_versions_come_back_from_their_files() -> None:
    frame, truth = planted(60, 11)
    model, data = HdbscanModel(CONFIG), history(frame, telling(truth, 4))
    for version in (model.fit_baseline(data), model.fit(data, None)):
        files = model.dump(version)
        assert model.dump(model.load(files)) == files
    assert isinstance(model.load(model.dump(model.fit_baseline(data))), type(
        fit_spending_groups(frame, CONFIG.common)
    ))  # fmt: skip


def test_k_means_may_choose_how_many_segments_there_are() -> None:
    frame, truth = planted(150, 12)
    model = KMeansModel(SegmentationConfig(resamples=200, n_init=3, stability_resamples=3))
    data = history(frame, telling(truth, 5))
    auto = replace(data, segments="auto")
    assert len(model.fit(data, None).names) == 5
    chosen = model.fit(auto, None)
    assert len(chosen.names) == len(PLANTED)
    assert model.fingerprint(auto) != model.fingerprint(data)
    few = replace(auto, parts=replace(auto.parts, fit=frame.iloc[:9], holdout=frame.iloc[:60]))
    assert "10 are needed for auto segments" in str(model.too_little(few))
    judged = model.judge(auto, chosen, model.fit_baseline(data), model.fit_baseline(data))
    figures = {metric.name: metric.value for metric in judged.metrics}
    assert figures["segments"] == 4
    assert figures["jaccard_least"] >= STABLE


@pytest.mark.parametrize("segments", [1, 9, "some", 2.5, True])
def test_a_number_of_segments_that_cannot_be_is_refused(segments: object) -> None:
    with pytest.raises(ValueError, match="segments must be between 2 and 8, or auto"):
        replace(SegmentationConfig(), segments=segments)  # type: ignore[arg-type]
