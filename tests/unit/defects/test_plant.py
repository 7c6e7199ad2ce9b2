from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import numpy as np
import pytest

from data_generators.company.world import make_world
from data_generators.defects.catalogue import BY_ID, DEFECTS, FOLLOWS
from data_generators.defects.plant import Planter
from data_generators.tables import BUILDERS
from data_generators.tables.rows import MISSING
from tests.unit.defects.support import AS_OF, FREQUENT, MARKETING, Planted, args_of, plant

ORPHANS = {
    "customer_demographics",
    "transactions",
    "transaction_items",
    "customer_segment_mapping",
    "campaign_performance",
    "ab_test_results",
    "sessions",
    "page_views",
    "events",
    "product_interactions",
    "search_queries",
}


@pytest.fixture(scope="module")
def small() -> Planted:
    return plant(args_of(0.05, FREQUENT), AS_OF + timedelta(days=40))


@pytest.fixture(scope="module")
def marketing() -> Planted:
    return plant(args_of(1), only=MARKETING)


def lines_of(planted: Planted) -> list[tuple[str, str, str]]:
    return [(line.table, line.row_id, line.defect) for line in planted.ledger]


def test_the_ledger_lists_what_an_independent_search_finds_and_nothing_else(
    small: Planted,
) -> None:
    ledger, found = set(lines_of(small)), small.found()
    assert ledger - found == set()
    assert found - ledger == set()
    assert len(lines_of(small)) == len(ledger)
    gone = small.world.customers.erased < small.world.until
    assert gone.any(), "some customers are deleted, or the rule for their children is not tested"


def test_the_ledger_of_the_marketing_tables_is_what_is_found(marketing: Planted) -> None:
    assert set(lines_of(marketing)) == marketing.found()


def test_every_class_is_planted(small: Planted, marketing: Planted) -> None:
    planted = {f"{table}.{name}" for table, _, name in lines_of(small) + lines_of(marketing)}
    follows = {f"{table}.{FOLLOWS}" for table in ORPHANS}
    assert planted == set(BY_ID) | follows


def test_each_line_states_the_fate_of_its_class(small: Planted) -> None:
    for line in small.ledger:
        expected = "quarantined" if line.defect == FOLLOWS else None
        assert line.fate == (expected or BY_ID[f"{line.table}.{line.defect}"].fate)


def test_a_row_has_one_class_and_may_follow_its_parent_beside(small: Planted) -> None:
    of_row = Counter((line.table, line.row_id) for line in small.ledger if line.defect != FOLLOWS)
    assert set(of_row.values()) == {1}
    final = {"rejected", "deduplicated"}
    judged = {(line.table, line.row_id) for line in small.ledger if line.fate in final}
    follow = {(line.table, line.row_id) for line in small.ledger if line.defect == FOLLOWS}
    assert not judged & follow


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("scale", [0.05, 0.1, 1])
def test_exact_volumes_include_the_duplicates(scale: float, seed: int) -> None:
    args = args_of(scale, seed=seed)
    exact = ("customers", "customer_demographics", "campaigns", "ab_tests", "ab_test_results")
    planted = plant(args, only=exact)
    assert planted.count("customers") == args.count(10_000)
    assert planted.count("customer_demographics") == args.count(10_000)
    assert planted.count("campaigns") == args.count(100, 5)
    assert planted.count("ab_tests") == args.count(50, 3)
    assert planted.count("ab_test_results") == 2 * args.count(50, 3)


def test_cleanup_keeps_the_expected_shares(marketing: Planted) -> None:
    planted = plant(args_of(1), only=("customers", "transactions"))
    assert kept(planted, "customers") == pytest.approx(0.985, abs=1e-9)
    assert kept(planted, "transactions") == pytest.approx(0.97, abs=0.005)
    assert kept(marketing, "campaigns") == pytest.approx(0.95, abs=1e-9)
    assert kept(marketing, "ab_tests") == pytest.approx(0.96, abs=1e-9)


def kept(planted: Planted, table: str) -> float:
    lost = {
        line.row_id
        for line in planted.ledger
        if line.table == table and line.fate in ("rejected", "quarantined", "deduplicated")
    }
    return 1 - len(lost) / planted.count(table)


def test_a_class_without_an_exact_number_has_its_rate() -> None:
    planted = plant(args_of(1), only=("transactions",))
    counts = Counter(line.defect for line in planted.ledger)
    orders = len(planted.world.orders)
    for defect in DEFECTS:
        if defect.table == "transactions":
            expected = defect.rate * orders
            assert abs(counts[defect.name] - expected) < 5 * np.sqrt(expected)


def test_no_defects_are_planted_when_none_are_wanted() -> None:
    args = args_of(0.05, "none")
    planted = plant(args)
    assert planted.ledger == []
    assert planted.found() == set()
    assert planted.count("customers") == args.count(10_000)
    for parts in planted.tables.values():
        for part in parts:
            assert not part.extra and not part.overrides
            if part.rows.spec.system != "mongo":
                assert (part.keys == part.rows.number + 1).all()


def test_other_rates_can_be_asked_for() -> None:
    planted = plant(
        args_of(0.1, "none,customers.null_key=0.1,transactions.orphan=0.2"),
        only=("customers", "transactions"),
    )
    counts = Counter((line.table, line.defect) for line in planted.ledger)
    assert counts["customers", "null_key"] == 100
    orders = len(planted.world.orders)
    assert counts["transactions", "orphan"] == pytest.approx(0.2 * orders, rel=0.1)
    assert set(counts) == {
        ("customers", "null_key"),
        ("transactions", "orphan"),
        ("transactions", FOLLOWS),
    }


def test_tests_are_never_orphans_however_many_campaigns_are_bad() -> None:
    planted = plant(args_of(1, "none,campaigns.negative_budget=0.5"), only=MARKETING)
    counts = Counter((line.table, line.defect) for line in planted.ledger)
    assert counts["campaigns", "negative_budget"] == 50
    assert not [table for table, _ in counts if table.startswith("ab_test")]


def test_keys_rise_and_an_extra_row_takes_the_next_one(small: Planted) -> None:
    for parts in small.tables.values():
        keys = [key for part in parts for key in part.keys.tolist()]
        extra = [row.key for part in parts for row in part.extra]
        if parts[0].rows.spec.system == "mongo":
            assert all(len(key) == 12 for key in keys)
            assert len({key.hex() for key in keys} | {str(key) for key in extra}) == len(
                keys
            ) + len(extra)
        else:
            assert sorted([*keys, *extra]) == list(range(1, len(keys) + len(extra) + 1))


def test_what_is_known_one_day_stays(small: Planted) -> None:
    args, until = small.world.args, small.world.until
    earlier = plant(args, AS_OF + timedelta(days=35))
    before = earlier.world.until
    changed: set[tuple[str, str]] = set()
    for name, parts in small.tables.items():
        now = {}
        for part in parts:
            for at, key in enumerate(part.keys.tolist()):
                now[part.rows.number[at]] = (key, part.overrides.get(at), part.rows.changed[at])
                if part.rows.changed[at] >= before or part.rows.deleted[at] < until:
                    changed.add((name, key.hex() if isinstance(key, bytes) else str(key)))
        for part in earlier.tables[name]:
            for at, key in enumerate(part.keys.tolist()):
                known_key, overrides, when = now[part.rows.number[at]]
                assert known_key == key
                if when < before:
                    assert overrides == part.overrides.get(at)
    ledger = set(lines_of(small))
    # The children of a deleted customer are orphans no more.
    lost = {line for line in set(lines_of(earlier)) - ledger if line[:2] not in changed}
    assert all(defect == FOLLOWS for _, _, defect in lost)
    assert len(lost) < 100


def test_parts_of_a_table_have_the_defects_of_the_whole() -> None:
    world = make_world(args_of(0.05))
    (rows,) = BUILDERS["transactions"](world)
    whole = Planter(world).plant(rows)
    planter = Planter(world)
    parts = [planter.plant(rows.take(np.arange(at, len(rows), 3))) for at in range(3)]
    lines = sorted(line.row_id + line.defect for part in parts for line in part.defects)
    assert lines == sorted(line.row_id + line.defect for line in whole.defects)


@pytest.mark.parametrize("days", [0, 1, 9])
def test_a_late_order_comes_with_its_lines(days: int) -> None:
    args = args_of(0.05, "none,transactions.late=0.5")
    planted = plant(args, AS_OF + timedelta(days=days), ("transactions", "transaction_items"))
    orders = np.concatenate([p.rows.number for p in planted.tables["transactions"]])
    items = np.concatenate(
        [p.rows.parents["transactions"] for p in planted.tables["transaction_items"]]
    )
    assert set(items.tolist()) == set(orders.tolist())
    assert len(orders) < len(planted.world.orders)
    for part in planted.tables["transactions"]:
        assert (part.rows.made < planted.world.until).all()
        assert (part.rows.columns["updated_at"] >= part.rows.made).all()


def test_an_exact_duplicate_stays_exact_while_the_row_changes() -> None:
    args = args_of(0.05, "none,sessions.duplicate_exact=0.3,transactions.duplicate_exact=0.3")
    only = ("customers", "transactions", "transaction_items", "sessions")
    planted = plant(args, AS_OF + timedelta(days=1), only)
    assert {defect for _, _, defect in planted.found()} == {"duplicate_exact"}


def test_a_conflict_is_decided_by_a_later_time_of_the_same_day() -> None:
    planted = plant(args_of(1), only=("customers",)).tables["customers"]
    seen = 0
    for part in planted:
        conflicts = {line.row_id for line in part.defects if line.defect == "duplicate_conflict"}
        changed = dict(zip(part.keys.tolist(), part.rows.changed.tolist(), strict=True))
        for extra in part.extra:
            before, after = changed[extra.key - 1], extra.values["updated_at"]
            assert before.date() == after.date()
            if str(extra.key - 1) in conflicts:
                assert after > before
                seen += 1
            else:
                assert after == before
    assert seen == 20


def test_a_repair_gives_the_sound_value_back() -> None:
    defects = "none,customers.wrong_encoding=0.01,customers.untidy_email=0.2"
    sound = plant(args_of(0.1, "none"), only=("customers",)).tables["customers"][0].rows
    planted = plant(args_of(0.1, defects), only=("customers",)).tables["customers"][0]
    assert len(planted.overrides) > 200
    for at, values in planted.overrides.items():
        for name, value in values.items():
            column = sound.columns[name]
            right = column.values()[at] if hasattr(column, "pool") else column[at]
            assert value != right
            if name == "email":
                assert value.strip().lower() == right
            else:
                assert value.encode("latin-1").decode() == right


def test_missing_and_undecodable_fields_are_of_documents_only(small: Planted) -> None:
    for parts in small.tables.values():
        for part in parts:
            values = [value for row in part.overrides.values() for value in row.values()]
            if part.rows.spec.system != "mongo":
                assert not any(value is MISSING for value in values)


def test_until_the_base_history_ends_nothing_is_deleted() -> None:
    planted = plant(args_of(0.05), date(2026, 1, 1))
    for parts in planted.tables.values():
        for part in parts:
            assert np.isnat(part.rows.deleted).all()
