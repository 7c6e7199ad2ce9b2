"""Finding and stopping the processes of a stack, by what /proc says about them.

A supervisor can be killed, and Airflow's executor workers survive their scheduler, so parentage
is no guide. Every process is started with two marks in its environment; all that carry them
belong to the stack, whoever is their parent now.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

ROOT_MARK = "AMATO_STACK_ROOT"
SERVICE_MARK = "AMATO_SERVICE"
PROC = Path("/proc")
TCP_LISTEN = "0A"


@dataclass(frozen=True)
class Process:
    """A live process of a stack. `started` (clock ticks since boot) tells reused pids apart."""

    pid: int
    service: str
    started: int


def _started(pid: int) -> int | None:
    """Start time in clock ticks; None when the process is gone or a zombie."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    values = stat.rpartition(")")[2].split()  # the name before it may hold blanks
    return None if values[0] in "ZX" else int(values[19])


def _marks(pid: int) -> dict[str, str]:
    raw = (PROC / str(pid) / "environ").read_bytes()
    pairs = (entry.partition(b"=") for entry in raw.split(b"\0"))
    return {
        key.decode(): value.decode("utf-8", "replace")
        for key, _, value in pairs
        if key in (ROOT_MARK.encode(), SERVICE_MARK.encode())
    }


def _service(pid: int, root: Path, postgres_data: Path) -> str | None:
    """The service of `root` that this process is part of, if any."""
    folder = PROC / str(pid)
    marks = _marks(pid)
    if marks.get(ROOT_MARK) == str(root):
        # The same path inside a chroot is another folder.
        same_tree = (folder / "root").samefile("/")
        return marks.get(SERVICE_MARK, "unknown") if same_tree else None
    # PostgreSQL's backends overwrite their environment with their title, but stay in the folder.
    command = (folder / "cmdline").read_bytes()
    if command.startswith(b"postgres") and (folder / "cwd").readlink() == postgres_data:
        return "postgres"
    return None


def find(root: Path, service: str | None = None) -> list[Process]:
    """Live processes of the stack at `root` (of one service, or all), but for the caller."""
    found = []
    postgres_data = (root / "data" / "postgres").resolve()
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        try:
            name = _service(pid, root, postgres_data)
            started = _started(pid)
            if name is None or started is None or service not in (None, name):
                continue
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or belongs to another user: not ours
        found.append(Process(pid, name, started))
    return sorted(found, key=lambda process: process.pid)


def is_alive(process: Process) -> bool:
    """Whether this very process (not another that got its pid) still runs."""
    return _started(process.pid) == process.started


def send(process: Process, number: int) -> None:
    """Signal a process unless it is gone."""
    if is_alive(process):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def stop(root: Path, service: str | None, patience: float) -> list[Process]:
    """Stop all processes of a service (or of the stack), by force after `patience` seconds.

    Returns those that were found, and raises RuntimeError when one outlives SIGKILL.
    """
    seen: dict[tuple[int, int], Process] = {}
    deadline = time.monotonic() + patience
    last_deadline = deadline + 10
    while living := find(root, service):
        now = time.monotonic()
        for process in living:
            key = (process.pid, process.started)
            if now >= deadline:
                send(process, signal.SIGKILL)
            elif key not in seen:
                # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
                send(process, signal.SIGINT if process.service == "postgres" else signal.SIGTERM)
            seen[key] = process
        if now >= last_deadline:
            names = ", ".join(f"{process.service} (pid {process.pid})" for process in living)
            raise RuntimeError(f"these processes could not be stopped: {names}")
        time.sleep(0.05)
    return list(seen.values())


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            values = line.split()
            if values[3] == TCP_LISTEN and int(values[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{values[9]}]")
    return inodes


def _holds(entry: Path, inodes: set[str]) -> bool:
    """Whether a process has one of these sockets open; False when it is gone."""
    try:
        links = list((entry / "fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False
    for link in links:
        try:
            if str(link.readlink()) in inodes:
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed meanwhile
    return False


def listens(root: Path, service: str, port: int) -> bool | None:
    """Whether this service listens on a port; None when nobody does (yet)."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    return any(_holds(PROC / str(process.pid), inodes) for process in find(root, service))


def port_owner(port: int) -> str:
    """Words for the process that listens on a port: its name and pid when they can be seen."""
    inodes = _listening_inodes(port)
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _holds(entry, inodes):
                return f"{(entry / 'comm').read_text().strip()} (pid {entry.name})"
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or another user's
    return "a process of another user"


def wait_for_end(root: Path, service: str, patience: float) -> None:
    """Wait until a service that was asked to end is gone, at most `patience` seconds."""
    deadline = time.monotonic() + patience
    while find(root, service) and time.monotonic() < deadline:
        time.sleep(0.05)
