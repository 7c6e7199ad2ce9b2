"""Writes `.env`: a value for every variable that docker-compose.yml requires.

Needs nothing but Python's standard library, as the machine that runs containers need not have
the rest: `python3 -m local_stack.compose_secrets` works without an environment.
"""

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_stack.layout import REPOSITORY, StackError, write_private

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
ENV_FILE = REPOSITORY / ".env"
#: `${NAME:?message}`: compose refuses to start while NAME is unset or empty.
REQUIRED = re.compile(r"\$\{([A-Z][A-Z0-9_]*):\?")
SECRET = re.compile(r".*(PASSWORD|SECRET|KEY)")
#: The user of the containers when root makes the file: never root itself.
ORDINARY_UID = 50_000
HEADER = "# Made by `make secrets`. Keep it: the databases were made with these passwords.\n"


def _tomorrow() -> str:
    return (datetime.now(UTC).date() + timedelta(days=1)).isoformat()


#: How first values are made that are no plain random text.
MAKERS: dict[str, Callable[[], str]] = {
    "AIRFLOW_FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "AIRFLOW_JWT_SECRET": lambda: secrets.token_urlsafe(64),  # HS512 wants 64 bytes
    # MongoDB takes base64 characters only; a multiple of 3 bytes needs no padding.
    "MONGO_KEYFILE": lambda: base64.b64encode(secrets.token_bytes(192)).decode(),
    "AIRFLOW_UID": lambda: str(os.getuid() or ORDINARY_UID),
    "AMATO_FIRST_NIGHT": _tomorrow,
    "AMATO_DEMO": lambda: "0",
}


def make_value(name: str) -> str:
    """The first value of a variable: a random one where the name asks for a secret."""
    if name in MAKERS:
        return MAKERS[name]()
    if SECRET.fullmatch(name):
        return secrets.token_urlsafe(48)
    raise StackError(f"no value is known for {name}: write a line {name}=... into {ENV_FILE.name}")


def read_env(path: Path) -> dict[str, str]:
    """NAME=VALUE lines of an env file; an absent file has none."""
    if not path.exists():
        return {}
    pairs = (_parse(line) for line in path.read_text().splitlines())
    return {name: value for name, value in pairs if name and not name.startswith("#")}


def write_compose_secrets(env_file: Path, compose_file: Path = COMPOSE_FILE) -> str:
    """Add what `env_file` lacks (mode 600); values that it has stay. Returns what was done."""
    if not compose_file.exists():
        raise StackError(f"{compose_file} is missing: restore it with `git checkout`")
    required = dict.fromkeys(REQUIRED.findall(compose_file.read_text()))
    known = read_env(env_file)
    missing = [name for name in required if known.get(name, "") in ("", '""', "''")]
    text = env_file.read_text() if env_file.exists() else HEADER
    # A line without a value would hide the one that is added.
    kept = [line for line in text.splitlines() if _parse(line)[0] not in missing]
    kept += [f"{name}={make_value(name)}" for name in missing]
    write_private(env_file, "\n".join(kept) + "\n")
    return f"{env_file.name}: {len(missing)} secrets added, {len(required) - len(missing)} kept"


def _parse(line: str) -> tuple[str, str]:
    name, _, value = line.strip().removeprefix("export ").partition("=")
    return name.strip(), value.strip()


def main() -> int:
    """Write `.env`; returns the exit code."""
    try:
        print(write_compose_secrets(ENV_FILE))
    except (StackError, OSError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
