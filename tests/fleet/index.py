"""Fills an index without a database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fleet.backends import generations
from fleet.backends.documents import FleetDocument
from fleet.backends.tantivy_index import Writer


def fill(root: Path, documents: Iterable[FleetDocument]) -> None:
    """Make these documents the current generation."""
    generation = generations.new_generation(root)
    writer = Writer(root, generation, create=True)
    writer.put(documents)
    writer.commit()
    writer.close()
    generations.swap_to(root, generation)
