"""Generations of the embedded index: a directory each, and a pointer swapped at once.

``INDEX_DIR/CURRENT`` names the directory that searches read. A rebuild fills another
one beside it and swaps the pointer by a rename, so that no search ever finds half an
index. The one before is kept until the next swap: a search may still be reading it.
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
    """Return the name of the generation that searches read, if it is of our schema."""
    try:
        name = (root / CURRENT).read_text().strip()
    except OSError:
        return None
    usable = name.startswith(PREFIX) and name.endswith(f"-{fingerprint()}")
    return name if usable and (root / name).is_dir() else None


def swap_to(root: Path, name: str) -> None:
    """Point searches at a generation; either the old or the new one is named."""
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


def forget_current(root: Path) -> None:
    """Let no generation be the current one; searches are answered with 503."""
    (root / CURRENT).unlink(missing_ok=True)


def drop_others(root: Path, *kept: str | None) -> None:
    """Delete the generations that nobody reads any more."""
    for path in root.glob(f"{PREFIX}*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
