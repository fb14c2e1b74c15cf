"""Exports devices as lines of a file that can be imported again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from registry.models import Device

COLUMNS = (
    *("uid", "name", "serial", "tenant", "project", "site", "space", "product"),
    *("hardware_revision", "batch", "kind", "gateway", "adapter", "tags", "attributes"),
)
_PATHS = (
    *("uid", "name", "serial", "tenant__slug", "project__slug", "site__slug"),
    *("space__slug", "product__slug", "hardware_revision__slug", "batch__slug"),
    *("kind", "gateway__uid", "adapter", "tags", "attributes"),
)
CHUNK = 2_000  # rows of about 300 bytes in memory at once


class _Echo:
    """A file whose ``write`` returns its argument."""

    def write(self, value: str) -> str:
        return value


def export_csv(devices: QuerySet[Device]) -> Iterator[str]:
    """Yield the lines of a CSV file with a header."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for *cells, tags, attributes in _rows(devices):
        document = json.dumps(attributes, ensure_ascii=False) if attributes else ""
        yield writer.writerow([*cells, ";".join(tags), document])


def export_ndjson(devices: QuerySet[Device]) -> Iterator[str]:
    """Yield one JSON object per line, without empty fields."""
    for row in _rows(devices):
        shown = {
            name: value
            for name, value in zip(COLUMNS, row, strict=True)
            if value not in (None, "", [], {})
        }
        yield json.dumps(shown, ensure_ascii=False) + "\n"


def _rows(devices: QuerySet[Device]) -> Iterator[tuple[Any, ...]]:
    """Yield the columns in the order of registration."""
    return devices.order_by("pk").values_list(*_PATHS).iterator(chunk_size=CHUNK)
