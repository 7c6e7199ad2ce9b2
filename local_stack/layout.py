"""Where a stack keeps its files, and the checks made before anything is written there."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

GIGABYTE = 1024**3
#: Free bytes needed before data folders are made for the first time.
FIRST_SETUP_FREE_BYTES = 3 * GIGABYTE
#: Free bytes needed to start servers whose data folders exist.
RESTART_FREE_BYTES = GIGABYTE // 2
#: A Unix socket's path holds 107 bytes, of which supervisord takes a few for a temporary name.
MAX_SOCKET_PATH_BYTES = 90


class StackError(Exception):
    """Something the user can mend; the message is one line that says how."""


@dataclass(frozen=True)
class Layout:
    """Folders and files of the stack whose base folder is `root`."""

    root: Path

    @property
    def data(self) -> Path:
        """Data folders of the servers, one a service."""
        return self.root / "data"

    @property
    def run(self) -> Path:
        """State of the running processes; private to the user."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log a service, rotated."""
        return self.root / "logs"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.root / "airflow"

    @property
    def home(self) -> Path:
        """AMATO_HOME: reports, docs and artefacts."""
        return self.root / "home"

    @property
    def truth(self) -> Path:
        """AMATO_TRUTH: what is planted in the generated company; in no pipeline's reach."""
        return self.root / "truth"

    @property
    def secrets(self) -> Path:
        """Generated passwords and keys, mode 600."""
        return self.root / "secrets.json"

    @property
    def ports(self) -> Path:
        """Ports of the services, `KEY=VALUE` lines."""
        return self.root / "ports"

    @property
    def settings(self) -> Path:
        """What the first start fixed for good."""
        return self.root / "settings.json"

    @property
    def external(self) -> Path:
        """Names of the connections that were given from outside at the first start."""
        return self.root / "external.json"

    @property
    def passwords_file(self) -> Path:
        """Airflow's user passwords, mode 600."""
        return self.root / "airflow-passwords.json"

    @property
    def tools(self) -> Path:
        """Downloaded server binaries; shared by all stacks of this clone, kept by `clean`."""
        return REPOSITORY / ".local" / "mongod"

    @property
    def lock_file(self) -> Path:
        """Locked by commands that change the stack. `clean` keeps it: others may wait on it."""
        return self.root / "lock"

    def log(self, service: str) -> Path:
        """Log file of one service."""
        return self.logs / f"{service}.log"

    def make(self) -> None:
        """Create the folders. Only folders of the stack itself get their mode set."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(exist_ok=True)
        # The servers' own user passes through these two; everything else is private.
        self.root.chmod(0o711)
        self.data.chmod(0o711)
        for folder in (self.run, self.logs, self.airflow, self.home, self.truth):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)

    def check_space(self, first_setup: bool) -> None:
        """Raise StackError when the disk is too full to start on."""
        needed = FIRST_SETUP_FREE_BYTES if first_setup else RESTART_FREE_BYTES
        existing = next(p for p in (self.root, *self.root.parents) if p.exists())
        free = shutil.disk_usage(existing).free
        if free < needed:
            raise StackError(
                f"disk nearly full: {free / GIGABYTE:.1f} GB free on the disk of {self.root}, "
                f"{needed / GIGABYTE:.1f} GB needed; free some space, then try again"
            )

    def supervisor_socket(self) -> Path:
        """Path of supervisord's control socket.

        It is in `run/`, or, when that path is too long for a socket, in a private short folder
        that `run/socket_dir` names.
        """
        name = "supervisor.sock"
        if len(os.fsencode(self.run / name)) <= MAX_SOCKET_PATH_BYTES:
            return self.run / name
        record = self.run / "socket_dir"
        if record.exists():
            folder = Path(record.read_text().strip())
            if folder.is_dir() and folder.stat().st_uid == os.getuid():
                return folder / name
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        parent = runtime if os.access(runtime, os.W_OK) else tempfile.gettempdir()
        folder = Path(tempfile.mkdtemp(prefix="amato-", dir=parent))  # mkdtemp makes it 0700
        record.write_text(f"{folder}\n")
        return folder / name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stack's lock, so that no two commands change it at once."""
        self.root.mkdir(parents=True, exist_ok=True)
        with self.lock_file.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("waiting for another command that works on this stack ...", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step (never half a file).

    Unlike `report_pages.files`, it makes the file private before anything is in it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    temporary.replace(path)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, indented; a note when it is empty or absent."""
    if not path.exists():
        return "    (no log yet)"
    text = path.read_bytes()[-20_000:].decode("utf-8", "replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty log)"
