"""Make targets, the bootstrap's errors, and the secrets file of docker compose."""

import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from local_stack.__main__ import is_whole, show_freshness
from local_stack.compose_secrets import read_env, write_compose_secrets
from local_stack.freshness import TableFreshness
from local_stack.layout import REPOSITORY, StackError
from local_stack.stack import Stack

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
    "ldconfig",
)


def test_a_narrow_terminal_still_gets_every_figure_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    moment = datetime(2026, 11, 19, 23, 58, tzinfo=UTC)
    name = "raw_mysql.customer_segment_mapping"
    age = timedelta(hours=30, minutes=3)
    show_freshness([TableFreshness(name, date(2026, 11, 20), age, 1_234_567, 89, moment)])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if name in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == [name, "2026-11-20", "30:03:00 ago", "1,234,567", "89", "2026-11-19 23:58"]


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


def make(tree: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a target in a folder that holds the Makefile and no environment."""
    shutil.copy(REPOSITORY / "Makefile", tree)
    return subprocess.run(
        ["make", "-s", target],
        cwd=tree,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", ["env", "docs"])
def test_without_environment_make_install_is_named(tmp_path: Path, target: str) -> None:
    result = make(tmp_path, target)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == "error: the environment is missing: `make install`"
    assert len(result.stderr.splitlines()) == 2  # the other one is make's own


@pytest.mark.parametrize("target", ["down", "clean"])
def test_without_environment_there_is_nothing_to_stop(tmp_path: Path, target: str) -> None:
    result = make(tmp_path, target)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "nothing was started here\n"
    # Where something was started, it must not pass as stopped.
    (tmp_path / "elsewhere" / "run").mkdir(parents=True)
    result = make(tmp_path, target, AMATO_LOCAL="elsewhere")
    assert result.returncode == 2
    assert "make install" in result.stderr
    assert (tmp_path / "elsewhere" / "run").exists()


@pytest.mark.parametrize("target", ["bench", "faults", "chaos", "soak"])
def test_long_tests_that_this_version_has_not_are_one_clear_line(
    tmp_path: Path, target: str
) -> None:
    folder = "tests/benchmarks" if target == "bench" else f"tests/{target}"
    (tmp_path / folder / "__pycache__").mkdir(parents=True)
    result = make(tmp_path, target)
    assert result.returncode == 2
    line = f"error: this version has no tests for `make {target}` ({folder})"
    assert result.stderr.splitlines()[0] == line
    (tmp_path / folder / "test_it.py").touch()
    assert "no tests" not in make(tmp_path, target).stderr  # it goes on, to the bootstrap


def test_status_where_nothing_was_started_is_a_table(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "local_stack", "status"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "AMATO_LOCAL": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("stopped") == len(Stack(tmp_path / "none", {}).services)
    assert not (tmp_path / "none").exists()


def bootstrap(
    tmp_path: Path, *tools: str, ldconfig: str | None = None
) -> subprocess.CompletedProcess[str]:
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
    if ldconfig:
        (binaries / "ldconfig").unlink()
        (binaries / "ldconfig").write_text(f"#!{binaries / 'bash'}\n{ldconfig}")
        (binaries / "ldconfig").chmod(0o755)
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


@pytest.mark.parametrize("libraries", [[], ["libcurl.so.4 (libc6) => /lib/libcurl.so.4"]])
def test_a_library_is_found_however_long_the_list_is(tmp_path: Path, libraries: list[str]) -> None:
    lines = "".join(f"echo '{line}'\n" for line in libraries)
    filler = "for ((i = 0; i < 20000; i++)); do echo 'libother.so.1 (libc6)'; done\n"
    result = bootstrap(tmp_path, "python3.11", ldconfig=lines + filler)
    [line] = result.stderr.splitlines()
    assert ("libcurl4" in line) == (not libraries)


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
