"""The models that the DAGs map over are those that can be run."""

from ml.catalogue import FAMILIES
from ml.run import MODELS


def test_every_model_of_the_catalogue_can_be_run_and_no_other():
    assert set(MODELS) == set(FAMILIES)
