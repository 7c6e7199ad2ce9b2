"""Secrets, ports and first-start settings of a stack: made once, then read."""

import base64
import errno
import json
import secrets
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from local_stack.layout import Layout, StackError, write_private
from local_stack.processes import port_owner

LOOPBACK = "127.0.0.1"
AIRFLOW_PORT = 8080
#: Below Linux's ephemeral range, so that no outgoing connection ever holds a recorded port.
PORT_RANGE = range(20_000, 32_000)


#: Secrets that a stack made by an earlier version lacks: added when it is started again.
LATER_SECRETS = ("postgres_mlflow", "mlflow_admin")


@dataclass(frozen=True, repr=False)
class Secrets:
    """Passwords and keys of one stack. Not in its repr, which ends up in tracebacks."""

    postgres_admin: str
    postgres_amato: str
    postgres_airflow: str
    postgres_mlflow: str
    mlflow_admin: str
    mysql_admin: str
    mysql_amato: str
    mongo_admin: str
    mongo_amato: str
    mongo_keyfile: str
    airflow_admin: str
    airflow_jwt: str
    airflow_api: str
    airflow_fernet: str

    @classmethod
    def generate(cls) -> "Secrets":
        """Fresh random secrets."""
        values = {field.name: secrets.token_urlsafe(24) for field in fields(cls)}
        values["airflow_jwt"] = secrets.token_urlsafe(64)  # HS512 wants 64 bytes
        values["airflow_fernet"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        # MongoDB accepts base64 characters only in a key file.
        values["mongo_keyfile"] = base64.b64encode(secrets.token_bytes(192)).decode()
        return cls(**values)


def load_secrets(layout: Layout) -> Secrets:
    """The stack's secrets, generated on the first call."""
    if not layout.secrets.exists():
        if layout.data.is_dir() and any(p.name[0] != "." for p in layout.data.iterdir()):
            raise StackError(
                f"{layout.secrets} is missing but {layout.data} holds databases made with it; "
                "put the file back, or start afresh with `make clean`"
            )
        return _write_secrets(layout, Secrets.generate())
    try:
        kept = json.loads(layout.secrets.read_text())
        missing = [name for name in LATER_SECRETS if name not in kept]
        if not missing:
            return Secrets(**kept)
        fresh = Secrets.generate().__dict__
        made = Secrets(**kept, **{name: fresh[name] for name in missing})
        return _write_secrets(layout, made)
    except (ValueError, TypeError) as error:
        raise StackError(
            f"{layout.secrets} cannot be read ({error}); put it right or start afresh with "
            "`make clean`"
        ) from error


def _write_secrets(layout: Layout, made: Secrets) -> Secrets:
    write_private(layout.secrets, json.dumps(made.__dict__, indent=1) + "\n")
    return made


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def choose_port(start: int, taken: set[int]) -> int:
    """The first free port at or after `start` (wrapping) that is not in `taken`."""
    size = len(PORT_RANGE)
    for step in range(size):
        port = PORT_RANGE[(start + step) % size]
        if port not in taken and port_is_free(port):
            return port
    raise StackError(f"no free port between {PORT_RANGE.start} and {PORT_RANGE.stop}")


def read_ports(path: Path) -> dict[str, int]:
    """Ports recorded so far, by service."""
    if not path.exists():
        return {}
    ports = {}
    for line in path.read_text().splitlines():
        if not line.strip():
            continue
        key, _, value = line.partition("=")
        if not value.strip().isdigit():
            raise StackError(f"{path}: the line {line!r} is not KEY=NUMBER; delete that line")
        ports[key.strip().lower()] = int(value)
    return ports


def load_ports(layout: Layout, services: list[str]) -> dict[str, int]:
    """Ports of `services`, free ones chosen and recorded for those that have none yet.

    Airflow takes 8080 when it is free. Each clone begins its search elsewhere, so that two of
    them rarely look at the same ports at the same time.
    """
    ports = read_ports(layout.ports)
    missing = [service for service in services if service not in ports]
    start = zlib.crc32(str(layout.root).encode())
    for service in missing:
        if service == "airflow" and port_is_free(AIRFLOW_PORT):
            ports[service] = AIRFLOW_PORT
        else:
            ports[service] = choose_port(start, set(ports.values()))
    if missing:
        text = "".join(f"{key.upper()}={value}\n" for key, value in ports.items())
        write_private(layout.ports, text)
    return ports


def check_port(layout: Layout, service: str, port: int) -> None:
    """Raise StackError when a foreign process holds the port of a service to be started."""
    if port_is_free(port):
        return
    raise StackError(
        f"port {port} of {service} is in use by {port_owner(port)}: stop that process, or delete "
        f"the line {service.upper()}= from {layout.ports} to have another port chosen"
    )


def first_night(layout: Layout, environment: Mapping[str, str]) -> date | None:
    """The first night the scheduler runs: the day after the first start, kept for good.

    AMATO_FIRST_NIGHT (ISO date) overrides it, `schedule_from` replaces it. None: nothing is
    scheduled.
    """
    given = environment.get("AMATO_FIRST_NIGHT")
    if given:
        try:
            return date.fromisoformat(given)
        except ValueError as error:
            raise StackError(f"AMATO_FIRST_NIGHT={given!r} is not a date (YYYY-MM-DD)") from error
    kept = _kept(layout)
    if "first_night" not in kept:
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        kept = _keep(layout, first_night=tomorrow.isoformat())
    try:
        night = kept["first_night"]
        return None if night is None else date.fromisoformat(night)
    except (ValueError, TypeError) as error:
        raise _unreadable(layout) from error


def schedule_from(layout: Layout, first: date | None) -> None:
    """Fix the first night that the scheduler runs; Airflow learns of it when it starts.

    None leaves every night to be run by hand, as it must be for a world that ends in the past:
    the nights since then would find no new data, and would move its marts away from the day it
    ends on.
    """
    _keep(layout, first_night=None if first is None else first.isoformat())


def demo_mode(layout: Layout, environment: Mapping[str, str]) -> bool:
    """Whether each night first adds the source life that it is to find: DEMO, else what is kept.

    Raises:
        StackError: DEMO is neither 0 nor 1.
    """
    given = environment.get("DEMO", "")
    if given not in ("", "0", "1"):
        raise StackError(f"DEMO={given} is neither 0 nor 1")
    return given == "1" if given else _kept(layout).get("demo") is True


def keep_demo_mode(layout: Layout, environment: Mapping[str, str]) -> bool:
    """Remember DEMO where it is given; whether that changed it. Airflow learns it at a start."""
    wanted, before = demo_mode(layout, environment), demo_mode(layout, {})
    if wanted != before:
        _keep(layout, demo=wanted)
    return wanted != before


def _kept(layout: Layout) -> dict[str, Any]:
    """What the settings file holds; an absent one holds nothing."""
    if not layout.settings.exists():
        return {}
    try:
        kept = json.loads(layout.settings.read_text())
    except ValueError as error:
        raise _unreadable(layout) from error
    if not isinstance(kept, dict):
        raise _unreadable(layout)
    return kept


def _keep(layout: Layout, **changes: object) -> dict[str, Any]:
    """Write the settings file with these values in it; returns what it holds then."""
    kept = {**_kept(layout), **changes}
    layout.root.mkdir(parents=True, exist_ok=True)
    write_private(layout.settings, json.dumps(kept) + "\n")
    return kept


def _unreadable(layout: Layout) -> StackError:
    return StackError(f"{layout.settings} cannot be read; delete it to have it made again")
