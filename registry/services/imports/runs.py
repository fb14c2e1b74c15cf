"""Imports that a worker runs: a person requests them and watches their progress.

The database row decides: a worker that died leaves it running, and after a while
another worker starts it again. That is safe, because an import writes all of its lines
or nothing.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from celery import current_app
from django.core.cache import cache
from django.core.files import File
from django.db import transaction
from django.db.models import Q
from redis.exceptions import RedisError

from iotplatform.common import tenant_scope
from iotplatform.common.problems import Problem
from iotplatform.common.storable import storable
from registry.models import DeviceImport, Tenant, User
from registry.models.imports import ImportStatus
from registry.permissions import Right, tenants_where
from registry.services.imports.importing import import_devices

logger = logging.getLogger(__name__)

TASK = "registry.run_imports"
# Longer than any import takes: 1,000,000 lines are two minutes.
GIVEN_UP_AFTER = timedelta(minutes=15)
MOST_STARTS = 3  # an import that kills its worker each time must not repeat for ever
PROGRESS_KEPT_SECONDS = 3_600


@transaction.atomic
def request_import(
    *,
    tenant: Tenant,
    file: File[bytes],
    file_format: str,
    is_dry_run: bool,
    actor: User,
) -> DeviceImport:
    """Store the file for a worker; the returned row shows status and result."""
    run = DeviceImport(
        tenant=tenant, file_format=file_format, is_dry_run=is_dry_run, actor=actor
    )
    run.file.save(f"{run.public_id}.{file_format}", file, save=False)
    run.full_clean(validate_unique=False)
    run.save()
    transaction.on_commit(_wake, robust=True)
    return run


def run_next_import_across_tenants(*, now: datetime) -> bool:
    """Run one waiting import; return whether there was one.

    A worker may not write the registry: the row of the import is written as the
    platform, and the devices in the tenant scope of the person who requested them.
    """
    with tenant_scope.as_role(tenant_scope.PLATFORM):
        run = _claim(now)
        if run is None:
            return False
        storage, name = run.file.storage, run.file.name or ""
        try:
            _run_import(run)
        except Problem as refusal:
            result = {"detail": refusal.detail, "errors": refusal.errors}
            _end(run, ImportStatus.REFUSED, **result)
        except Exception as error:  # any other would be repeated, and fail again
            logger.exception("the import %s failed", run.public_id)
            detail = storable(f"It failed on our side: {error}")[:500]
            _end(run, ImportStatus.FAILED, detail=detail)
    storage.delete(name)
    return True


def progress_of(run: DeviceImport) -> int | None:
    """Return the last line that a running import has read; None if unknown."""
    try:
        line: int | None = cache.get(_key(run))
    except (RedisError, OSError):
        return None
    return line


@transaction.atomic
def _claim(now: datetime) -> DeviceImport | None:
    """Claim a waiting import, or one whose worker died."""
    left = Q(status=ImportStatus.RUNNING, started_at__lt=now - GIVEN_UP_AFTER)
    waiting = DeviceImport.objects.filter(Q(status=ImportStatus.QUEUED) | left)
    run = waiting.order_by("pk").select_for_update(skip_locked=True).first()
    if run is None:
        return None
    if run.starts >= MOST_STARTS:
        run.status, run.ended_at = ImportStatus.FAILED, now
        run.detail = f"Started {run.starts} times, but never finished."
    else:
        run.status, run.started_at, run.starts = (
            ImportStatus.RUNNING,
            now,
            run.starts + 1,
        )
    run.save()
    return run if run.status == ImportStatus.RUNNING else _claim(now)


def _run_import(run: DeviceImport) -> None:
    """Import as the person who requested it, with their current rights."""
    tenant = _tenant_of(run)
    scope = tenant_scope.TenantScope(
        tenants=(run.tenant_id,), user_id=run.actor_id, door="admin"
    )
    with (
        tenant_scope.scoped(scope),
        transaction.atomic(),
        run.file.open("rb") as stream,
    ):
        run.devices = import_devices(
            tenant=tenant,
            stream=stream,
            file_format=run.file_format,
            actor=run.actor,
            dry_run=run.is_dry_run,
            progress=partial(_note_progress, run),
        )
        _end(run, ImportStatus.DONE)


def _tenant_of(run: DeviceImport) -> Tenant:
    """Return the tenant with the person's limit; raises Problem without the right."""
    if run.actor is not None:
        for tenant in tenants_where(run.actor, Right.MANAGE):
            if tenant.pk == run.tenant_id:
                return tenant
    raise Problem(
        "The person who requested this may no longer register devices in the tenant."
    )


def _end(run: DeviceImport, status: ImportStatus, **result: object) -> None:
    for name, value in result.items():
        setattr(run, name, value)
    run.status, run.ended_at = status, datetime.now(UTC)
    run.file = ""  # the registry has the devices now, or the row has the errors
    run.save()


def _note_progress(run: DeviceImport, line: int) -> None:
    """Record the progress outside the transaction, which others cannot see into."""
    try:
        cache.set(_key(run), line, PROGRESS_KEPT_SECONDS)
    except (RedisError, OSError) as error:
        logger.warning("the progress of an import is not shown: %s", error)


def _key(run: DeviceImport) -> str:
    return f"registry:import:{run.public_id}"


def _wake() -> None:
    """Wake a worker now; without Redis the next scheduled run finds the import."""
    current_app.send_task(TASK)
