"""The migration files of one database, in order, with their hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


class MigrationChangedError(RuntimeError):
    """A migration file differs from the one that was applied."""


@dataclass(frozen=True)
class Migration:
    """One file: its name, its text and the text's SHA-256 in hex."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """The hash that the database remembers."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def check(self, applied_sha256: str) -> None:
        """Raise MigrationChangedError unless the applied file is this one."""
        if applied_sha256 != self.sha256:
            raise MigrationChangedError(
                f"migration {self.name} was changed after it was applied; put the file back as "
                "it was and make the change in a new, higher-numbered file"
            )


def migrations(folder: Path, suffix: str) -> list[Migration]:
    """Read ``folder``'s ``NNN_*`` files in the order of their numbers.

    Raises:
        FileNotFoundError: the folder has none (a wrong folder must not pass as done).
    """
    paths = sorted(folder.glob(f"[0-9][0-9][0-9]_*.{suffix}"))
    if not paths:
        raise FileNotFoundError(f"no migrations NNN_*.{suffix} in {folder}")
    return [Migration(path.name, path.read_text(encoding="utf-8")) for path in paths]
