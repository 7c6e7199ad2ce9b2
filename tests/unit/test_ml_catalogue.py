"""The models of the catalogue are those that can be run, as their contract says."""

import json
import re

import pytest

from ml.catalogue import CATALOGUE, FAMILIES, find_model
from ml.model import KEY_COLUMNS


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_model_of_the_catalogue_is_what_its_entry_says(name: str) -> None:
    model = find_model(name)
    assert (model.name, model.family) == (name, FAMILIES[name])
    assert re.fullmatch("[a-z0-9_]+", name)
    assert model.baseline and model.title and model.subtitle and model.data_source.count("marts.")
    assert not set(model.result_columns) & {*KEY_COLUMNS, "trained_as_of"}
    assert len(set(model.result_columns)) == len(model.result_columns) > 0
    assert json.loads(json.dumps(model.settings())) == json.loads(json.dumps(model.settings()))
    assert model.horizon_days is None or model.horizon_days > 0


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"no model 'oracle'; there are: .*kmeans"):
        find_model("oracle")
