"""The tables ``customers`` and ``customer_demographics``: one row a customer, in versions.

Row i of both is customer i's. What changes of it (the e-mail address, the address, whether it
is active) follows from times of change that are drawn for the customer, so that the row at any
day is the version of that day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_generators.company.catalogue import CATEGORIES
from data_generators.company.customers import COUNTRIES
from data_generators.randomness import Draws
from data_generators.tables.keys import chunks, latest, numbered, texts
from data_generators.tables.people import Pools, local_part, pools
from data_generators.tables.rows import Coded, Column, Rows
from data_generators.timeline import DAY
from elt.specs import BY_NAME

if TYPE_CHECKING:
    from data_generators.company.world import World

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

GENDERS = ("female", "male", "other")
INCOMES = ("low", "middle", "high")
EDUCATIONS = ("school", "bachelor", "master", "doctorate")
AGE_GROUPS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
AGE_EDGES = (25, 35, 45, 55, 65)
#: Mean days between changes of one kind, and after how many a customer stays as it is.
EMAIL_DAYS, MOVE_DAYS, PROFILE_DAYS = 1_100, 900, 700
CHANGES = 8
#: Of the customers that dropped out, the share that closes its account, and when.
CLOSES, CLOSES_AFTER_DAYS, CLOSES_WITHIN_DAYS = 0.4, 90, 60
INTEREST = 0.3


def customers(world: World) -> Iterator[Rows]:
    """The rows of ``customers``."""
    drawn = pools(world.args.seed)
    for which in chunks(len(world.customers)):
        yield _customers(world, drawn, which)


def demographics(world: World) -> Iterator[Rows]:
    """The rows of ``customer_demographics``."""
    jobs = pools(world.args.seed).jobs
    for which in chunks(len(world.customers)):
        yield _demographics(world, jobs, which)


def accented(world: World) -> npt.NDArray[np.bool_]:
    """Of each customer, whether its name has letters beyond ASCII."""
    drawn, which = pools(world.args.seed), np.arange(len(world.customers))
    first, last = _names(world, drawn, which)
    beyond = [
        np.array([not text.isascii() for text in pool.texts])
        for pool in (drawn.first_names, drawn.last_names)
    ]
    return np.asarray(beyond[0][first] | beyond[1][last])


@dataclass(frozen=True)
class _History:
    """How often each kind of change has come by ``until``, and the time of the last of all."""

    emails: Ints
    moves: Ints
    active: Array
    changed: Array


def _draws(world: World) -> Draws:
    return Draws(world.args.seed, "table.customers")


def _changes(draws: Draws, which: Ints, since: Array, mean_days: float) -> Array:
    """Rising times of change [rows x CHANGES], with exponential gaps."""
    gaps = draws.exponential(which[:, None], np.arange(CHANGES)) * mean_days * DAY
    return np.asarray(since[:, None] + np.cumsum(gaps, axis=1).astype("timedelta64[s]"))


def _ends(world: World, which: Ints) -> Array:
    """The time that nothing about a customer happens at or after: ``until``, or its erasure."""
    return np.asarray(np.fmin(world.customers.erased[which], world.until))


def _history(world: World, which: Ints) -> _History:
    draws, since, ends = _draws(world), world.customers.registered[which], _ends(world, which)
    emails, mailed = latest(_changes(draws("emails"), which, since, EMAIL_DAYS), ends)
    moves, moved = latest(_changes(draws("moves"), which, since, MOVE_DAYS), ends)
    wait = (CLOSES_AFTER_DAYS + CLOSES_WITHIN_DAYS * draws("closes").exponential(which)) * DAY
    closed = world.organic.churned[which] + wait.astype("timedelta64[s]")
    closes = draws("closing").chance(CLOSES, which) & (closed < ends)
    closed = np.where(closes, closed, np.datetime64("NaT", "s"))
    changed = np.fmax(np.fmax(mailed, moved), np.fmax(closed, since))
    return _History(emails, moves, ~closes, changed)


def _names(world: World, drawn: Pools, which: Ints) -> tuple[Ints, Ints]:
    draws, country = _draws(world), world.customers.country[which].astype(np.int64)
    return (
        drawn.first_names.draw(draws("first"), country, which),
        drawn.last_names.draw(draws("last"), country, which),
    )


def _born(world: World, which: Ints) -> Array:
    """Dates of birth: 18 to 80 years before the registration."""
    days = _draws(world)("born").integers(18 * 366, 80 * 365, which)
    return np.asarray(
        world.customers.registered[which].astype("datetime64[D]") - days.astype("timedelta64[D]")
    )


def _customers(world: World, drawn: Pools, which: Ints) -> Rows:
    draws, history = _draws(world), _history(world, which)
    registered = world.customers.registered[which]
    country = world.customers.country[which].astype(np.int64)
    first, last = _names(world, drawn, which)
    moves = (which, history.moves)
    phone = draws("phone").integers(0, 10**7, which)
    street = drawn.streets.draw(draws("street"), country, *moves)
    columns: dict[str, Column] = {
        "customer_id": numbered("CUST", which),
        "email": _emails(drawn, first, last, which, history.emails),
        "first_name": Coded(first, drawn.first_names.texts),
        "last_name": Coded(last, drawn.last_names.texts),
        "phone": texts([f"+1-555-{n:07d}" for n in phone.tolist()]),
        "date_of_birth": _born(world, which),
        "gender": Coded(draws("gender").choice((49, 49, 2), which), list(GENDERS)),
        "address": texts(
            [
                f"{house} {drawn.streets.texts[code]}"
                for house, code in zip(
                    draws("house").integers(1, 999, *moves).tolist(), street.tolist(), strict=True
                )
            ]
        ),
        "city": Coded(drawn.cities.draw(draws("city"), country, *moves), drawn.cities.texts),
        "state": Coded(drawn.states.draw(draws("state"), country, *moves), drawn.states.texts),
        "country": Coded(country, list(COUNTRIES)),
        "postal_code": texts(
            [f"{n:05d}" for n in draws("postal").integers(1000, 99999, *moves).tolist()]
        ),
        "registration_date": registered.astype("datetime64[D]"),
        "is_active": history.active.astype(np.int64),
        "created_at": registered,
        "updated_at": history.changed,
    }
    return Rows(
        BY_NAME["customers"],
        which,
        columns,
        made=registered,
        changed=history.changed,
        deleted=world.customers.erased[which],
    )


def _emails(drawn: Pools, first: Ints, last: Ints, which: Ints, version: Ints) -> Array:
    """``first.last.n@example.com``; a later address has its version behind the n."""
    firsts = [local_part(text) for text in drawn.first_names.texts]
    lasts = [local_part(text) for text in drawn.last_names.texts]
    rows = zip(first.tolist(), last.tolist(), which.tolist(), version.tolist(), strict=True)
    return texts(
        [
            f"{firsts[f]}.{lasts[s]}.{n + 1}{f'.{v + 1}' if v else ''}@example.com"
            for f, s, n, v in rows
        ]
    )


def _demographics(world: World, jobs: list[str], which: Ints) -> Rows:
    draws = Draws(world.args.seed, "table.demographics")
    registered = world.customers.registered[which]
    profiles = _changes(draws("profiles"), which, registered, PROFILE_DAYS)
    version, last = latest(profiles, _ends(world, which))
    changed = np.fmax(last, registered)
    years = (changed.astype("datetime64[D]") - _born(world, which)).astype(np.int64) / 365.25
    likes = draws("interests").uniform(which[:, None], np.arange(len(CATEGORIES))) < INTEREST
    subsets = [
        [name for place, name in enumerate(CATEGORIES) if code >> place & 1]
        for code in range(1 << len(CATEGORIES))
    ]
    income = draws("income").choice((3, 5, 2), which, version)
    education = draws("education").choice((1, 1, 1, 1), which)
    columns: dict[str, Column] = {
        "customer_id": numbered("CUST", which),
        "age_group": Coded(np.searchsorted(AGE_EDGES, years, side="right"), list(AGE_GROUPS)),
        "income_level": Coded(income, list(INCOMES)),
        "education_level": Coded(education, list(EDUCATIONS)),
        "occupation": Coded(draws("job").integers(0, len(jobs), which, version), jobs),
        "household_size": np.minimum(1 + draws("household").poisson(1.4, which, version), 8),
        "interests": Coded(likes @ (1 << np.arange(len(CATEGORIES))), subsets),
        "updated_at": changed,
    }
    return Rows(
        BY_NAME["customer_demographics"],
        which,
        columns,
        made=registered,
        changed=changed,
        deleted=world.customers.erased[which],
        parents={"customers": which},
    )
