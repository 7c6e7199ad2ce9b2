"""Make targets, the bootstrap's errors, and the secrets file of docker compose."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from local_stack.__main__ import is_whole
from local_stack.compose_secrets import read_env, write_compose_secrets
from local_stack.layout import REPOSITORY, StackError

TARGETS = {
    *("run", "test", "up", "down", "status", "clean", "lint", "format", "bench", "faults"),
    *("chaos", "soak", "docs", "env", "secrets", "install", "lock", "help"),
}
TOOLS = (
    "bash",
    "dirname",
    "sha256sum",
    "cut",
    "df",
    "tail",
    "mkdir",
    "tr",
    "grep",
    "head",
    "ldconfig",
)


def test_help_lists_every_target() -> None:
    result = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert {target for _, target, _ in lines} == TARGETS
    assert all(text for _, _, text in lines)


def bootstrap(tmp_path: Path, *tools: str) -> subprocess.CompletedProcess[str]:
    """Run the bootstrap in a copy of the tree, on a machine that has only these tools."""
    tree = tmp_path / "clone"
    (tree / "local_stack").mkdir(parents=True)
    for name in ("bootstrap.sh", "requirements-bootstrap.txt", "requirements-mongod.txt"):
        shutil.copy(REPOSITORY / "local_stack" / name, tree / "local_stack")
    (tree / "requirements.txt").write_text("")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for tool in (*TOOLS, *tools):
        (binaries / tool).symlink_to(shutil.which(tool, path=f"{os.defpath}:/usr/sbin:/sbin") or "")
    return subprocess.run(
        [str(binaries / "bash"), str(tree / "local_stack" / "bootstrap.sh")],
        env={"PATH": str(binaries), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_interpreter_is_one_clear_line(tmp_path: Path) -> None:
    result = bootstrap(tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: python3.11 is missing: install it (Debian 12: apt-get install python3.11), "
        "then try again"
    ]


def test_missing_packages_without_apt_are_one_clear_line(tmp_path: Path) -> None:
    result = bootstrap(tmp_path, "python3.11")
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("error: these Debian packages, or their equals, are missing: ")
    assert " gcc libc6-dev " in f"{line} "
    assert " pkg-config " in f"{line} "


COMPOSE = """
services:
  db:
    environment:
      PASSWORD: ${DB_PASSWORD:?run make secrets}
      AGAIN: ${DB_PASSWORD:?run make secrets}
      KEY: ${AIRFLOW_FERNET_KEY:?run make secrets}
      PORT: ${DB_PORT:-5432}
"""


def test_compose_secrets_are_private_random_and_kept(tmp_path: Path) -> None:
    compose, env = tmp_path / "docker-compose.yml", tmp_path / ".env"
    compose.write_text(COMPOSE)
    env.write_text("# mine\nDB_PORT=5433\nDB_PASSWORD=\n")
    write_compose_secrets(env, compose)
    first = read_env(env)
    assert set(first) == {"DB_PORT", "DB_PASSWORD", "AIRFLOW_FERNET_KEY"}
    assert first["DB_PORT"] == "5433"
    assert len(first["DB_PASSWORD"]) >= 32
    Fernet(first["AIRFLOW_FERNET_KEY"])
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert env.read_text().startswith("# mine\n")
    assert write_compose_secrets(env, compose) == ".env: 0 secrets added, 2 kept"
    assert read_env(env) == first


def test_compose_file_is_named_when_missing(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"docker-compose\.yml is missing"):
        write_compose_secrets(tmp_path / ".env", tmp_path / "docker-compose.yml")


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (["running", "starting", "external"], True),
        (["stopped", "stopped", "external"], True),
        (["running", "stopped"], False),
        (["running", "fatal"], False),
        (["orphaned"], False),
    ],
)
def test_status_tells_a_broken_platform_from_a_whole_one(states: list[str], whole: bool) -> None:
    assert is_whole(states) is whole
