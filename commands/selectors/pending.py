"""How many commands of a device have not ended; a device cannot get any number."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count

from commands.models import Command

# A device that is away for long would get them all at once when it comes back.
MAX_PENDING = 50


def find_full_devices(device_ids: Collection[int]) -> set[int]:
    """Return which of these devices have so many open commands that none is added."""
    open_commands = Command.objects.filter(
        device_id__in=device_ids, ended_at__isnull=True
    )
    counts = open_commands.values("device_id").annotate(pending=Count("pk")).order_by()
    full = counts.filter(pending__gte=MAX_PENDING)
    return set(full.values_list("device_id", flat=True))
