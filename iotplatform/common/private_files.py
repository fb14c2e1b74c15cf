"""Files that only their owner may read, replaced as a whole."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileOwner:
    """The user and group that a file belongs to."""

    uid: int
    gid: int


def write_private(path: Path, text: str, *, owner: FileOwner | None = None) -> None:
    """Replace a file as a whole: only its owner may read it, nobody sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if owner is not None:
            # Before the rename: a process that has dropped its rights must never find
            # a file that it cannot open.
            os.chown(name, owner.uid, owner.gid)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
