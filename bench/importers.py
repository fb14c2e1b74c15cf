"""Ways to import a CSV file of devices; each runs in its own process.

``python -m bench.importers import|dry-run|orm FILE [PERSON]`` prints seconds, those of
its own CPU time and peak memory as JSON. With the id of a person, the audit log records
every device as imported by them.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
django.setup()

from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from iotplatform.common import tenant_scope  # noqa: E402
from registry.models import (  # noqa: E402
    Device,
    LifecycleMove,
    Product,
    Site,
    Tenant,
)
from registry.services.imports.importing import import_devices  # noqa: E402


def by_import(path: str, *, dry_run: bool = False) -> None:
    """The platform's import: COPY to a temporary table, then statements over sets."""
    with open(path, "rb") as stream:
        import_devices(
            tenant=Tenant.objects.get(),
            stream=stream,
            file_format="csv",
            actor=None,
            dry_run=dry_run,
        )


@transaction.atomic
def by_orm(path: str) -> None:
    """The baseline: two saves per line; site and product are looked up once."""
    tenant, site, product = (
        Tenant.objects.get(),
        Site.objects.get(),
        Product.objects.get(),
    )
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            device = Device(
                tenant=tenant,
                site=site,
                product=product,
                uid=row["uid"],
                name=row["name"],
                serial=row["serial"],
                kind=product.kind,
                tags=row["tags"].split(";"),
                attributes=json.loads(row["attributes"]),
            )
            device.save()
            LifecycleMove(
                tenant=tenant,
                device=device,
                at=timezone.now(),
                moved_to=device.lifecycle,
                reason="imported",
            ).save()


if __name__ == "__main__":
    ways: dict[str, Callable[[str], None]] = {
        "import": by_import,
        "dry-run": partial(by_import, dry_run=True),
        "orm": by_orm,
    }
    way = ways[sys.argv[1]]
    person = int(sys.argv[3]) if sys.argv[3:] else None
    started, used = time.monotonic(), time.process_time()
    with tenant_scope.scoped(
        tenant_scope.TenantScope(tenant_scope.PLATFORM, user_id=person, door="rest")
    ):
        way(sys.argv[2])
    seconds, cpu = time.monotonic() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}))
