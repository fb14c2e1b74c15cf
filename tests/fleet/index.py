"""Fills an index without a database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fleet.backends.choice import engine_at
from fleet.backends.documents import FleetDocument
from fleet.backends.engine import Engine


def fill(root: Path, documents: Iterable[FleetDocument]) -> None:
    """Make these documents the current generation of the chosen engine."""
    fill_engine(engine_at(root), documents)


def fill_engine(engine: Engine, documents: Iterable[FleetDocument]) -> None:
    """Make these documents the current generation."""
    generation = engine.new_generation()
    writer = engine.writer(generation, create=True)
    writer.put(documents)
    writer.commit()
    writer.close()
    engine.swap_to(generation)
