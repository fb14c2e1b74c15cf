"""Holding back what made a job stop."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from commands.choices import HeldKind
from commands.exceptions import ChangeHeld
from commands.models import HeldChange, Job, JobRollback
from commands.selectors.held_changes import change_of, find_held
from commands.selectors.job_products import products_of, products_of_job
from registry.models import Tenant


def hold_change(job: Job, *, at: datetime) -> bool:
    """Mark the release or patch of a stopped job; return whether it has one.

    A rollback is never marked: it restores what others have had.
    """
    change = change_of(job.command_name, job.command_class, job.params)
    if change is None or JobRollback.objects.filter(job=job).exists():
        return False
    kind, key = change
    row, created = HeldChange.objects.get_or_create(
        job=job,
        defaults={
            "tenant_id": job.tenant_id,
            "kind": kind,
            "key": key,
            "product_ids": products_of_job(job),
            "held_at": at,
        },
    )
    if not created and row.lifted_at is not None:
        # It was lifted, its job was resumed, and has stopped again.
        row.held_at, row.lifted_at, row.lifted_by, row.lift_reason = at, None, None, ""
        row.save()
    return True


def refuse_held(
    tenant: Tenant,
    *,
    command_name: str,
    command_class: str,
    params: dict[str, Any],
    device_ids: Collection[int],
) -> None:
    """Raise ChangeHeld, naming the stopped job, if these devices must not get this."""
    change = change_of(command_name, command_class, params)
    _refuse(tenant, change, lambda: products_of(device_ids))


def refuse_held_job(job: Job) -> None:
    """Raise ChangeHeld if another job has marked what this one changes."""
    change = change_of(job.command_name, job.command_class, job.params)
    _refuse(job.tenant, change, lambda: products_of_job(job))


def _refuse(
    tenant: Tenant,
    change: tuple[HeldKind, str] | None,
    products: Callable[[], list[int]],
) -> None:
    held = find_held(tenant, change=change, products=products) if change else None
    if change is None or held is None:
        return
    what = f"Firmware {change[1]}" if held.kind == HeldKind.FIRMWARE else "This patch"
    raise ChangeHeld(
        f"{what} is held: the job {held.job.name} with it was stopped. A second person"
        " must lift that first.",
        held_by=str(held.job.public_id),
    )
