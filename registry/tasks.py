"""Celery tasks of the registry; the tables say what there is to do."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from iotplatform.common.batches import until_drained
from registry.services.imports.runs import run_next_import_across_tenants


@shared_task(name="registry.run_imports")
def run_imports() -> int:
    """Run the waiting imports one after the other; return how many."""
    return until_drained(
        lambda: run_next_import_across_tenants(now=datetime.now(UTC)), batch=1
    )
