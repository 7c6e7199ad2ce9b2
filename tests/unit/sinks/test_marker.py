"""The marker: which databases may be written, from which day on, and up to which."""

from dataclasses import replace
from datetime import date

import pytest

from data_generators.args import WorldArgs
from data_generators.defects.catalogue import BY_ID, parse_defects
from data_generators.sinks.marker import (
    ForeignDataError,
    Marker,
    Plan,
    WorldMismatchError,
    check_foreign,
    defects_text,
    effects_text,
    plan,
    target,
)

ARGS = WorldArgs(1, 0.5, 365, date(2026, 1, 1))
D1, D2, D5 = (date(2026, 1, day) for day in (1, 2, 5))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("all", "all"),
        ("none", "none"),
        ("stages, churn", "churn,stages"),
        ("all,-churn", "campaigns,experiments,segments,stages"),
        ("campaigns,experiments,churn,segments,stages", "all"),
    ],
)
def test_effects_have_one_spelling(given: str, text: str) -> None:
    args = replace(ARGS, effects=given)
    assert effects_text(args) == text
    assert replace(ARGS, effects=text).planted == args.planted


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("default", "default"),
        ("none", "none"),
        ("none,customers.null_key=0", "none"),
        ("none, customers.null_key=.01", "none,customers.null_key=0.01"),
        ("default,customers.null_key=0.0015", "default"),
        ("default,sessions.late=0,events.late=.1", None),
        (
            "default,customers.null_key=0,events.late=.1",
            "default,customers.null_key=0.0,events.late=0.1",
        ),
        ("none," + ",".join(f"{name}={defect.rate}" for name, defect in BY_ID.items()), "default"),
    ],
)
def test_defects_have_one_spelling(given: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(ValueError, match=r"sessions\.late"):
            replace(ARGS, defects=given)
        return
    args = replace(ARGS, defects=given)
    assert defects_text(args) == text
    planted = {name: rate for name, rate in args.defect_rates.rates.items() if rate}
    assert {n: r for n, r in parse_defects(text).rates.items() if r} == planted


def test_a_marker_is_read_as_it_was_stored() -> None:
    marker = Marker.of(ARGS, D2).writing(D1)
    assert Marker.read("here", {**marker.stored(), "_id": "world"}) == marker
    with pytest.raises(WorldMismatchError, match="here holds a world of an earlier version"):
        Marker.read("here", {name: v for name, v in marker.stored().items() if name != "until"})


def test_rows_without_a_marker_are_foreign() -> None:
    check_foreign("it", None, [])
    check_foreign("it", Marker.of(ARGS, D1), ["customers"])
    with pytest.raises(ForeignDataError, match=r"it holds .* \(in customers, transactions\)"):
        check_foreign("it", None, ["customers", "transactions"])


def test_the_target_is_the_latest_day_of_all() -> None:
    first, later = Marker.of(ARGS, D1), Marker.of(ARGS, D5)
    assert target(ARGS, None, {}) == (ARGS, D1)
    assert target(ARGS, D2, {}) == (ARGS, D2)
    assert target(ARGS, D2, {"it": first}) == (ARGS, D2)
    assert target(ARGS, D2, {"it": first, "other": later}) == (ARGS, D5)
    assert target(ARGS, None, {"it": later.writing(D2)}) == (ARGS, D5)
    # The same company, asked for as of a later day, lives on from its own base history.
    assert target(replace(ARGS, as_of=D2), None, {"it": first}) == (ARGS, D2)
    assert target(replace(ARGS, as_of=D2), D5, {"it": first}) == (ARGS, D5)


@pytest.mark.parametrize(
    "other",
    [
        replace(ARGS, seed=2),
        replace(ARGS, scale=0.6),
        replace(ARGS, days=366),
        replace(ARGS, effects="none"),
        replace(ARGS, defects="none"),
        replace(ARGS, as_of=date(2025, 12, 31)),
    ],
)
def test_another_company_is_refused(other: WorldArgs) -> None:
    with pytest.raises(WorldMismatchError, match=r"it holds the world SEED=1 .*make clean"):
        target(other, D5, {"it": Marker.of(ARGS, D2)})


def test_databases_of_different_base_histories_are_refused() -> None:
    standing = {"it": Marker.of(ARGS, D5), "other": Marker.of(replace(ARGS, as_of=D2), D5)}
    with pytest.raises(WorldMismatchError, match="2026-01-01, 2026-01-02"):
        target(replace(ARGS, as_of=D5), None, standing)


def test_what_is_to_be_done() -> None:
    wanted = Marker.of(ARGS, D5)
    assert plan("it", None, wanted) == Plan(True)
    assert plan("it", wanted, wanted).write is False
    assert plan("it", Marker.of(ARGS, D2), wanted) == Plan(True, D2)
    assert plan("it", Marker.of(ARGS, D2).writing(None), wanted) == Plan(True, None, True)
    assert plan("it", wanted.writing(D2), wanted) == Plan(True, D2, True)
    for late in (Marker.of(ARGS, date(2026, 1, 6)), Marker.of(replace(ARGS, seed=2), D5)):
        with pytest.raises(WorldMismatchError, match="meanwhile"):
            plan("it", late, wanted)
