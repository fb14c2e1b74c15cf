"""Large edits, which a worker runs with the rights of the person who asked for them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from fleet.choices import EditStatus
from fleet.models import FleetEdit
from fleet.services.edits import fail_edit, work_on
from iotplatform.common import tenant_scope
from iotplatform.common.problems import Problem
from iotplatform.common.storable import storable
from registry.models import Tenant, User
from registry.permissions import Right, tenants_where

logger = logging.getLogger(__name__)

OPEN = (EditStatus.QUEUED, EditStatus.UNDOING)
# Longer than any batch takes: then the worker died.
GIVEN_UP_AFTER = timedelta(minutes=2)
KEPT = timedelta(days=400)  # as jobs
FORGOTTEN_AT_ONCE = 5  # edits; each may have 100,000 devices


def run_next_edit_across_tenants(*, now: datetime) -> bool:
    """Finish one open edit; return whether there was one."""
    with tenant_scope.as_role(tenant_scope.PLATFORM):
        row = _claim(now)
        if row is None:
            return False
        actor = row.undone_by if row.status == EditStatus.UNDOING else row.created_by
        tenant = _tenant_of(row, actor)
        if tenant is None:
            detail = "The person who asked for this may no longer change devices."
            fail_edit(row, detail, now=now)
            return True
    assert actor is not None
    # The database knows who changes the devices, and the audit log, too.
    scope = tenant_scope.TenantScope(
        tenants=(row.tenant_id,), user_id=actor.pk, door="console"
    )
    with tenant_scope.scoped(scope):
        try:
            while work_on(row, tenant, now=datetime.now(UTC)):
                pass
        except (OperationalError, InterfaceError):
            raise  # the database is away; another run goes on
        except Exception as error:  # any other would be repeated, and fail again
            logger.exception("the edit %s failed", row.public_id)
            refusal = error.detail if isinstance(error, Problem) else str(error)
            fail_edit(row, storable(refusal)[:500], now=now)
    return True


def forget_edits_across_tenants(*, now: datetime) -> int:
    """Delete some edits, with their undo files, that are older than they are kept."""
    old = FleetEdit.objects.filter(created_at__lt=now - KEPT).exclude(status__in=OPEN)
    ids = list(old.order_by("pk").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    FleetEdit.objects.filter(pk__in=ids).delete()
    return len(ids)


@transaction.atomic
def _claim(now: datetime) -> FleetEdit | None:
    """Claim an open edit on which no worker works."""
    free = Q(worked_at__isnull=True) | Q(worked_at__lt=now - GIVEN_UP_AFTER)
    rows = FleetEdit.objects.filter(free, status__in=OPEN).order_by("pk")
    rows = rows.select_related("created_by", "undone_by")
    row = rows.select_for_update(skip_locked=True, of=("self",)).first()
    if row is not None:
        row.worked_at = now
        row.save(update_fields=["worked_at"])
    return row


def _tenant_of(row: FleetEdit, actor: User | None) -> Tenant | None:
    """Return the tenant with the person's limit of now; None without the right."""
    if actor is None:
        return None
    found = tenants_where(actor, Right.MANAGE)
    return next((tenant for tenant in found if tenant.pk == row.tenant_id), None)
