from __future__ import annotations

import pytest

from data_generators.defects.catalogue import DEFECTS, DUPLICATES, parse_defects
from data_generators.defects.delays import DELAYS
from data_generators.defects.edits import CONFLICTS, EDITS, STRAYS
from data_generators.defects.numbering import entities, exact_counts, half_up
from elt.specs import SPECS
from tests.unit.defects.support import args_of


def test_each_class_is_of_a_table_and_planted_in_one_way() -> None:
    tables = {spec.name for spec in SPECS}
    for defect in DEFECTS:
        assert defect.table in tables
        ways = [way for way in (EDITS, STRAYS, DELAYS) if defect.id in way]
        assert len(ways) == (0 if defect.name in DUPLICATES else 1), defect.id
        assert (defect.id in CONFLICTS) == (defect.name == "duplicate_conflict")
    assert {*EDITS, *STRAYS, *DELAYS, *CONFLICTS} <= {defect.id for defect in DEFECTS}
    assert len({defect.id for defect in DEFECTS}) == len(DEFECTS)


def test_rates_can_be_put_on_top_of_the_defaults() -> None:
    rates = parse_defects("default, customers.null_key=0.25").rates
    assert rates["customers.null_key"] == 0.25
    assert rates["customers.invalid_email"] == 0.006
    assert parse_defects("none").rates == {}
    assert parse_defects("none,ab_tests.duplicate_conflict=0").of("ab_tests") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customers.nul_key=0.1", "'customers.nul_key=0.1' is not understood"),
        ("everything", "give default, none, or pairs"),
        ("customers.null_key=0.6", "not a number from 0 to 0.5"),
        ("customers.null_key=-0.1", "not a number from 0 to 0.5"),
        ("customers.null_key=many", "not a number from 0 to 0.5"),
        ("customers.null_key=nan", "not a number from 0 to 0.5"),
        ("customers.null_key=0.5,customers.zero_date=0.5", "customers add up to more than 0.9"),
        ("none,customers.duplicate_exact=0.5", "duplicates count twice"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_defects(text)


@pytest.mark.parametrize(("value", "whole"), [(0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (2.0, 2)])
def test_halves_are_rounded_up(value: float, whole: int) -> None:
    assert half_up(value) == whole


def test_persons_and_their_duplicates_are_the_tables_rows() -> None:
    assert entities(args_of(1), "customers") == 9_960
    assert entities(args_of(1), "campaigns") == 99
    assert entities(args_of(1), "ab_tests") == 49
    assert entities(args_of(1, "none"), "customers") == 10_000
    assert exact_counts(args_of(1), "customer_demographics") == {
        "duplicate_exact": 40,
        "unknown_age_group": 40,
        "unknown_education": 40,
        "impossible_household": 20,
    }
    assert exact_counts(args_of(1), "transactions") is None


def test_a_small_table_never_has_more_duplicates_than_rows_to_repeat() -> None:
    args = args_of(0.01, "none,ab_tests.duplicate_conflict=0.45")
    assert args.count(50, 3) == 3
    assert entities(args, "ab_tests") == 2
    assert exact_counts(args, "ab_tests") == {"duplicate_conflict": 1}
