"""What a service of the stack is, and which operating-system account runs it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from local_stack.layout import Layout, StackError
from local_stack.settings import Secrets

#: PostgreSQL refuses to run as root; Debian's package makes this account for it.
SERVER_USER = "postgres"


@dataclass(frozen=True)
class Service:
    """A process that the stack supervises.

    `argv` must hold no secret: command lines are public. `environment` is added to the
    supervisor's own.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    stop_group: bool = True
    start_retries: int = 3


def last_lines(result: subprocess.CompletedProcess[str]) -> str:
    """What a failed command said, shortened."""
    return "\n".join(f"    {line}" for line in (result.stdout + result.stderr).splitlines()[-15:])


@dataclass(frozen=True)
class Account:
    """Runs the data servers: as the caller, or, where the caller is root, as SERVER_USER."""

    layout: Layout

    @cached_property
    def _entry(self) -> pwd.struct_passwd | None:
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam(SERVER_USER)
        except KeyError as error:
            raise StackError(
                f"as root the servers run as the user {SERVER_USER}, which this machine lacks: "
                f"`useradd --system {SERVER_USER}`, or run this as an ordinary user"
            ) from error

    @cached_property
    def _prefix(self) -> tuple[str, ...]:
        """How to become SERVER_USER, able to reach the data folder.

        The clone may lie below folders that only root may enter (mktemp -d makes them so). Their
        modes are none of our business, so the servers get the one capability to pass through.
        """
        if self._entry is None:
            return ()
        if not shutil.which("setpriv"):
            raise StackError("setpriv is missing: `apt-get install util-linux`")
        user = (f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--init-groups")
        # Not `test -x`: access(2) leaves capabilities out of account.
        needed = [self.layout.data, *([self.layout.tools] if self.layout.tools.exists() else [])]
        probe = ("env", "ls", "-d", *(str(folder / ".") for folder in needed))
        for capability in (None, "dac_read_search", "dac_override"):
            prefix: tuple[str, ...] = ("setpriv", *user)
            if capability:
                # The securebit makes access(2), by which MariaDB looks before it repairs a
                # table, count the capability too; exec leaves none but this one.
                prefix += (
                    f"--inh-caps=+{capability}",
                    f"--ambient-caps=+{capability}",
                    "--securebits=+no_setuid_fixup",
                )
            if subprocess.run((*prefix, *probe), capture_output=True, check=False).returncode == 0:
                # env is exec'd with the capability in force, so the server's own path resolves.
                return (*prefix, "env")
        raise StackError(
            f"the user {SERVER_USER} cannot enter {self.layout.data}: clone into a folder that "
            "other users may pass through (chmod o+x on its parents)"
        )

    def wrap(self, argv: Sequence[str]) -> tuple[str, ...]:
        """`argv` as a command that runs under the servers' account."""
        return (*self._prefix, *argv)

    def own(self, path: Path) -> None:
        """Give a file or folder of the stack to the servers' account."""
        if self._entry is not None:
            os.chown(path, self._entry.pw_uid, self._entry.pw_gid)

    def fresh_folder(self, path: Path) -> Path:
        """An empty folder, private to the servers' account; what was there before is removed."""
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(mode=0o700)
        self.own(path)
        return path

    def run(self, argv: Sequence[str], what: str, stdin: str = "") -> None:
        """Run a set-up command under the servers' account; StackError when it fails."""
        result = subprocess.run(
            self.wrap(argv), input=stdin, capture_output=True, text=True, cwd="/", check=False
        )
        if result.returncode != 0:
            raise StackError(f"{what} failed (exit {result.returncode}):\n{last_lines(result)}")


@dataclass(frozen=True)
class Context:
    """All that a server needs to know of its stack."""

    layout: Layout
    secrets: Secrets
    ports: Mapping[str, int]
    account: Account


def find_binary(name: str, folders: Sequence[Path], package: str) -> str:
    """Path of a server binary: on PATH or in `folders`; StackError names the package."""
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    found = shutil.which(name)
    if found:
        return found
    raise StackError(f"{name} is missing: `make install` (Debian: apt-get install {package})")
