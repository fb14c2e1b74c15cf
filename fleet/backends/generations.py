"""Generations of the embedded index: a directory each, and a pointer to one.

``INDEX_DIR/CURRENT`` names the directory that searches read. A rebuild fills another
directory and swaps the pointer by a rename, so that no search ever sees half an index.
The old directory is kept until the next swap, because a search may still read it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fleet.backends.tantivy_schema import fingerprint
from iotplatform.common.ids import new_public_id

CURRENT = "CURRENT"
PREFIX = "generation-"


def new_generation(root: Path) -> str:
    """Make an empty directory for a new generation; return its name."""
    name = f"{PREFIX}{new_public_id().hex}-{fingerprint()}"
    (root / name).mkdir(parents=True)
    return name


def current_generation(root: Path) -> str | None:
    """Return the generation that searches read; None if its schema is not ours."""
    try:
        name = (root / CURRENT).read_text().strip()
    except OSError:
        return None
    usable = name.startswith(PREFIX) and name.endswith(f"-{fingerprint()}")
    return name if usable and (root / name).is_dir() else None


def swap_to(root: Path, name: str) -> None:
    """Point searches at a generation in one atomic step."""
    pointer = root / f"{CURRENT}.{os.getpid()}"
    with pointer.open("w") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    pointer.replace(root / CURRENT)
    directory = os.open(root, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def clear_current(root: Path) -> None:
    """Remove the pointer; searches get a 503 until the next swap."""
    (root / CURRENT).unlink(missing_ok=True)


def drop_others(root: Path, *kept: str | None) -> None:
    """Delete all generations except these."""
    for path in root.glob(f"{PREFIX}*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
