"""The registry's errands: each says only "look at the table"."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from registry.services.imports.runs import run_next_import_across_tenants


@shared_task(name="registry.run_imports")
def run_imports() -> int:
    """Do the imports that wait, one after the other; return how many."""
    total = 0
    while run_next_import_across_tenants(now=datetime.now(UTC)):
        total += 1
    return total
