"""The retained ``down/desired`` messages: recorded, and cleared when out of date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from commands.models import RetainedDesired
from commands.selectors.due import TAKES_NO_COMMANDS
from commands.services.adapter_wakeup import wake_adapters
from registry.models import Device

BATCH = 1_000  # one message each: the broker works on it for a second or two


def remember_retained(rows: Sequence[tuple[int, int, str]], *, at: datetime) -> None:
    """Record (tenant id, device id, topic) before the message is published."""
    if not rows:
        return
    RetainedDesired.objects.bulk_create(
        (
            RetainedDesired(
                tenant_id=tenant_id, device_id=device_id, topic=topic, published_at=at
            )
            for tenant_id, device_id, topic in sorted(set(rows), key=lambda r: r[2])
        ),
        update_conflicts=True,
        unique_fields=["topic"],
        update_fields=["published_at", "clear_due_at"],
    )


@transaction.atomic
def mark_retained_to_clear_across_tenants(*, now: datetime) -> int:
    """Mark messages of retired and replaced devices for clearing; return how many."""
    found = (
        RetainedDesired.objects.filter(
            clear_due_at__isnull=True, device__lifecycle__in=TAKES_NO_COMMANDS
        )
        .order_by("pk")
        .select_for_update(of=("self",), skip_locked=True)
        .values_list("pk", flat=True)[:BATCH]
    )
    marked = RetainedDesired.objects.filter(pk__in=list(found)).update(clear_due_at=now)
    if marked:
        wake_adapters()
    return marked


def clear_retained_below(device: Device, *, at: datetime) -> None:
    """Make the broker delete what it retains for a device and for its children."""
    below = Q(device=device) | Q(topic__startswith=f"iot/v1/{device.uid}/")
    rows = RetainedDesired.objects.filter(below, clear_due_at__isnull=True)
    locked = rows.order_by("pk").select_for_update(of=("self",))
    ids = list(locked.values_list("pk", flat=True))
    if RetainedDesired.objects.filter(pk__in=ids).update(clear_due_at=at):
        wake_adapters()


def list_retained_to_clear(*, limit: int = BATCH) -> list[str]:
    """Return the topics that need an empty retained message."""
    due = RetainedDesired.objects.filter(clear_due_at__isnull=False)
    return list(due.order_by("pk").values_list("topic", flat=True)[:limit])


def forget_retained(topics: Sequence[str]) -> None:
    """Delete the rows the broker has cleared, unless published again meanwhile."""
    RetainedDesired.objects.filter(
        topic__in=topics, clear_due_at__isnull=False
    ).delete()
