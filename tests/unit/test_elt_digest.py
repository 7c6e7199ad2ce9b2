"""The digest of (key, cursor) pairs, against plain integers without a limit."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt.digest import FACTOR, PRIME, SMALL_PRIME
from elt.readers.mongo_keys import Digester, Pairs
from elt.specs import BY_NAME, SPECS
from elt.text_hash import hash_texts

CURSORS = st.integers(0, 315_569_520_000_000_000)


def remainder(number: int, divisor: int) -> int:
    """Cut towards zero, as SQL does."""
    return abs(number) % divisor * (-1 if number < 0 else 1)


def pair(key: int, cursor: int) -> int:
    left = remainder(remainder(key, PRIME) * FACTOR + cursor, PRIME)
    return left * (remainder(key, SMALL_PRIME) + SMALL_PRIME)


@given(st.integers(-(1 << 63), (1 << 63) - 1), CURSORS)
def test_no_step_of_a_pair_leaves_64_bits(key: int, cursor: int) -> None:
    assert abs(remainder(key, PRIME) * FACTOR) + cursor < 1 << 63
    assert abs(pair(key, cursor)) < 1 << 63


@given(st.lists(st.tuples(st.binary(min_size=24, max_size=24), CURSORS), min_size=1, max_size=9))
def test_numpy_adds_up_as_the_servers_do(rows: list[tuple[bytes, int]]) -> None:
    keys = np.frombuffer(b"".join(key for key, _ in rows), np.uint8).reshape(-1, 24)
    digester = Digester()
    digester.add(Pairs(keys, np.array([cursor for _, cursor in rows], np.int64)))
    expected: dict[int, tuple[int, int]] = {}
    for number, (_, cursor) in zip(hash_texts(keys).tolist(), rows, strict=True):
        count, before = expected.get(number % 4096, (0, 0))
        hashed = pair(number, cursor) % (1 << 64)
        expected[number % 4096] = count + 1, before ^ hashed
    assert digester.result() == expected


@given(st.integers(1, 1 << 40), st.integers(1, 1 << 40), CURSORS, st.integers(1, PRIME - 1))
def test_moved_and_exchanged_cursors_show(one: int, other: int, cursor: int, moved: int) -> None:
    assert pair(one, cursor) != pair(one, cursor + moved)
    if one != other:
        before = pair(one, cursor) ^ pair(other, cursor + moved)
        assert before != pair(one, cursor + moved) ^ pair(other, cursor)


@pytest.mark.parametrize("step", [0, 1_000_000], ids=["one moment", "a second apart"])
def test_rows_made_in_a_row_share_no_digest(step: int) -> None:
    hashes = [pair(key, 63_902_217_600_000_000 + key * step) for key in range(1, 300)]
    twos = [one ^ other for one, other in combinations(hashes, 2)]
    assert len(set(twos)) == len(twos)


def test_the_moduli_are_prime() -> None:
    for number in (PRIME, SMALL_PRIME):
        assert all(number % divisor for divisor in range(2, int(number**0.5) + 1))
    assert PRIME * 2 * SMALL_PRIME < 1 << 63


def test_every_table_is_found_by_its_name() -> None:
    assert tuple(BY_NAME.values()) == SPECS
