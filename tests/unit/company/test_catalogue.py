"""The catalogue: popularity, and prices and costs by month."""

import numpy as np
from scipy import stats

from data_generators.company.catalogue import CATEGORIES, PRODUCTS, make_catalogue
from tests.unit.company.commerce import commerce, differing


def test_the_same_arguments_give_the_same_catalogue() -> None:
    world = commerce()
    assert not differing(world.catalogue, make_catalogue(world.args, world.timeline))
    assert "names" in differing(world.catalogue, commerce(seed=2).catalogue)


def test_products_have_distinct_names_that_end_in_category_and_number() -> None:
    catalogue = commerce().catalogue
    assert len(set(catalogue.names)) == len(catalogue.names) == PRODUCTS == 400
    for j, name in enumerate(catalogue.names):
        assert name.endswith(f" {CATEGORIES[catalogue.category[j]]} {j + 1}")
    assert set(catalogue.category.tolist()) == set(range(len(CATEGORIES)))


def test_popularity_is_zipf_and_knows_nothing_of_prices() -> None:
    catalogue = commerce().catalogue
    weights = np.sort(catalogue.popularity)[::-1]
    assert weights.sum() == 1 or abs(weights.sum() - 1) < 1e-12
    assert np.allclose(weights[0] / weights, np.arange(1, PRODUCTS + 1))
    ranks = [
        stats.spearmanr(c.popularity, c.price_cents[0]).statistic
        for c in (commerce(seed=seed).catalogue for seed in range(1, 6))
    ]
    assert np.abs(ranks).max() < 4 / np.sqrt(PRODUCTS)
    assert abs(np.mean(ranks)) < 4 / np.sqrt(5 * PRODUCTS)


def test_prices_move_in_small_steps_and_stay_above_costs() -> None:
    catalogue = commerce().catalogue
    assert len(catalogue.months) == len(catalogue.price_cents) == len(catalogue.cost_cents)
    assert catalogue.price_cents.dtype == catalogue.cost_cents.dtype == np.int64
    assert (catalogue.cost_cents > 0).all()
    assert (catalogue.cost_cents < catalogue.price_cents).all()
    step = np.diff(np.log(catalogue.price_cents), axis=0)
    moved = (step != 0).mean()
    assert 0.1 < moved < 0.25
    assert np.abs(step).max() < 0.45
    dearer = np.median(catalogue.price_cents[-1] / catalogue.price_cents[0])
    assert 1.0 <= dearer < 1.1
    margin = 1 - catalogue.cost_cents / catalogue.price_cents
    assert 0.3 < margin.mean() < 0.5


def test_later_months_only_append() -> None:
    base, more = commerce().catalogue, commerce(added=60).catalogue
    months = len(base.months)
    assert len(more.months) == months + 2
    for name in ("months", "price_cents", "cost_cents"):
        assert np.array_equal(getattr(base, name), getattr(more, name)[:months]), name
    for name in ("names", "category", "popularity"):
        assert np.array_equal(getattr(base, name), getattr(more, name)), name


def test_a_months_index_is_that_of_its_first_and_last_second() -> None:
    catalogue = commerce().catalogue
    edges = catalogue.months[1:].astype("datetime64[s]")
    assert np.array_equal(catalogue.month_of(edges), np.arange(1, len(edges) + 1))
    assert np.array_equal(catalogue.month_of(edges - np.timedelta64(1, "s")), np.arange(len(edges)))
