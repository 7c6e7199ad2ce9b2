"""The world that a platform holds: a generated company, or one sales file; kept for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from data_generators.args import parse_effects
from data_generators.defects.catalogue import parse_defects
from local_stack.layout import REPOSITORY, Layout, StackError, write_private

DEFAULT_SCALE = 0.1
DEFAULT_SEED = 42
DEFAULT_DAYS = 730
LEAST_DAYS = 30
SCALES = (0.001, 10)
SALES_FIELDS = (
    "date",
    "customer",
    "amount",
    "order",
    "product",
    "quantity",
    "delimiter",
    "date_format",
)


@dataclass(frozen=True)
class World:
    """What the source databases were made from, and the day their history ends before.

    ``sales_sha256`` is the hash of the imported file; None in a generated world.
    """

    scale: float
    seed: int
    days: int
    as_of: str
    defects: str = "default"
    effects: str = "all"
    sales_sha256: str | None = None
    sales_file: str | None = None


@dataclass(frozen=True)
class Request:
    """What ``make run`` was asked for: the world, and the night to run.

    ``is_new`` says that no world stands yet; ``as_of_given``, that AS_OF was.
    """

    world: World
    as_of: date
    sales_path: Path | None
    sales_columns: dict[str, str]
    is_new: bool
    as_of_given: bool


def _number(
    environment: Mapping[str, str], name: str, default: float, low: float, high: float
) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise StackError(f"{name}={text} is not a number from {low:g} to {high:g}")
    return value


def _integer(environment: Mapping[str, str], name: str, default: int, low: int) -> int:
    value = _number(environment, name, default, low, 2**31)
    if value != int(value):
        raise StackError(f"{name}={environment[name]} is not a whole number")
    return int(value)


def _planted(
    environment: Mapping[str, str], name: str, parse: Callable[[str], object], before: str
) -> str:
    """DEFECTS or EFFECTS; ``before`` where it is not given, or means the same."""
    text = environment.get(name, "").strip() or before
    try:
        return before if parse(text) == parse(before) else text
    except ValueError as error:
        raise StackError(str(error)) from error


def _day(environment: Mapping[str, str], name: str) -> date | None:
    text = environment.get(name, "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise StackError(f"{name}={text} is not a date: give it like {name}=2024-12-31") from None


def _sales_file(environment: Mapping[str, str]) -> Path | None:
    text = environment.get("SALES_CSV", "")
    if not text:
        return None
    path = Path(text).expanduser()
    path = path if path.is_absolute() else REPOSITORY / path
    if not path.is_file():
        raise StackError(f"SALES_CSV={text}: there is no such file ({path})")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _standing_world(path: Path) -> World | None:
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text())
        world = World(**kept)
    except (ValueError, TypeError) as error:
        raise StackError(
            f"{path} cannot be read ({error}): put it right, or start afresh with `make clean`"
        ) from error
    if world.sales_sha256 is None and not {"defects", "effects"} <= kept.keys():
        raise StackError(
            f"{path} is of an earlier version, whose company this one cannot go on with: start "
            "afresh with `make clean`"
        )
    return world


def _sales_columns(environment: Mapping[str, str]) -> dict[str, str]:
    """SALES_COLUMNS, like ``date=day,customer=client_no``, as the import's form takes it."""
    text = environment.get("SALES_COLUMNS", "")
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    columns = {name.strip(): value.strip() for name, _, value in pairs}
    wrong = [name for name, value in columns.items() if name not in SALES_FIELDS or not value]
    if wrong:
        raise StackError(
            f"SALES_COLUMNS={text}: {', '.join(wrong)} is not a field with a column; give pairs "
            f"like date=order_day, of the fields {', '.join(SALES_FIELDS)}"
        )
    return columns


def read_request(environment: Mapping[str, str], layout: Layout, today: date) -> Request:
    """Read `make run`'s arguments, and hold them against the world that stands.

    What is not given comes from the world that stands, then from the defaults; ``today`` is
    the default as_of of a new world.

    Raises:
        StackError: a value is malformed, or another world stands.
    """
    path = layout.root / "world.json"
    standing = _standing_world(path)
    sales = _sales_file(environment)
    given = _day(environment, "AS_OF")
    as_of = given or (date.fromisoformat(standing.as_of) if standing else today)
    base = standing or World(DEFAULT_SCALE, DEFAULT_SEED, DEFAULT_DAYS, as_of.isoformat())
    wanted = World(
        scale=_number(environment, "SCALE", base.scale, *SCALES),
        seed=_integer(environment, "SEED", base.seed, 0),
        days=_integer(environment, "DAYS", base.days, LEAST_DAYS),
        as_of=base.as_of,
        defects=_planted(environment, "DEFECTS", parse_defects, base.defects),
        effects=_planted(environment, "EFFECTS", parse_effects, base.effects),
        sales_sha256=_sha256(sales) if sales else None,
        sales_file=sales.name if sales else None,
    )
    if standing and sales is None and standing.sales_sha256:
        raise StackError(
            f"this platform holds the sales of {standing.sales_file}: give the same SALES_CSV "
            "again, or remove everything first with `make clean`"
        )
    if standing and wanted != standing:
        differences = ", ".join(
            f"{name} {before} instead of {after}"
            for name, before in asdict(standing).items()
            if (after := asdict(wanted)[name]) != before
        )
        raise StackError(
            f"this platform holds another world ({differences}): one platform holds one world. "
            "Remove it first with `make clean`"
        )
    if standing and as_of < date.fromisoformat(standing.as_of):
        raise StackError(
            f"AS_OF={as_of} is before {standing.as_of}, the night this world begins with; "
            "use a later one, or `make clean` first"
        )
    return Request(
        wanted,
        as_of,
        sales,
        _sales_columns(environment),
        is_new=standing is None,
        as_of_given=given is not None,
    )


def keep_world(layout: Layout, world: World) -> None:
    """Record the world, before anything of it is made."""
    write_private(layout.root / "world.json", json.dumps(asdict(world), indent=1) + "\n")
