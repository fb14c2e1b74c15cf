"""Generations of the embedded index: a directory each, and a pointer to one.

``INDEX_DIR/CURRENT`` names the directory that searches read. A rebuild fills another
directory and swaps the pointer by a rename, so that no search ever sees half an index.
The old directory is kept until the next swap, because a search may still read it.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from fleet.backends.columns import ALL_FIELDS, describe, readable_fields
from fleet.backends.tantivy_schema import SCHEMA_VERSION, fingerprint
from iotplatform.common.ids import new_public_id

CURRENT = "CURRENT"
PREFIX = "generation-"
FIELDS = "fields.json"
# They name the files of an index, and change; the files that they name never do.
NAMING = ("meta.json", ".managed.json")
LOCKS = ".tantivy-"


def new_generation(root: Path) -> str:
    """Make an empty directory for a new generation; return its name."""
    name = f"{PREFIX}{new_public_id().hex}-{fingerprint()}"
    (root / name).mkdir(parents=True)
    (root / name / FIELDS).write_text(json.dumps(describe(SCHEMA_VERSION)))
    return name


def adopt(root: Path, name: str) -> str:
    """Make the same index under a new name, which no writer has locked.

    Its files are linked, not copied, so that it is there at once.
    """
    new = new_generation(root)
    naming = {file: (root / name / file).read_bytes() for file in NAMING}
    for path in (root / name).iterdir():
        if path.name in (*NAMING, FIELDS) or path.name.startswith(LOCKS):
            continue
        try:
            os.link(path, root / new / path.name)
        except FileNotFoundError:
            continue  # its writer still runs, and has just replaced it
        except OSError:  # this file system has no links
            shutil.copy2(path, root / new / path.name)
    for file, content in naming.items():
        (root / new / file).write_bytes(content)
    return new


def current_generation(root: Path) -> str | None:
    """Return the generation that searches read; None if its schema is not ours."""
    name = pointed_generation(root)
    return name if name and name.endswith(f"-{fingerprint()}") else None


def pointed_generation(root: Path) -> str | None:
    """Return the generation of the pointer, whatever its schema, if it is here."""
    try:
        name = (root / CURRENT).read_text().strip()
    except OSError:
        return None
    return name if is_here(root, name) else None


def is_here(root: Path, name: str) -> bool:
    """Whether a generation is in this folder."""
    return name.startswith(PREFIX) and (root / name).is_dir()


def known_fields(root: Path, name: str) -> frozenset[str]:
    """Return the fields that can be searched in a generation; none if it is foreign."""
    if name.endswith(f"-{fingerprint()}"):
        return ALL_FIELDS
    try:
        kept = json.loads((root / name / FIELDS).read_text())
    except (OSError, ValueError):
        return frozenset()
    return readable_fields(kept, SCHEMA_VERSION)


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
