"""How many commands of a device have not ended; a device cannot get any number."""

from __future__ import annotations

from collections.abc import Collection

from commands.choices import CommandClass
from commands.models import Command
from iotplatform.common import bulk_sql

# A device that is away for long would get them all at once when it comes back.
MAX_PENDING = 50
# One array parameter: a batch of a job asks for a thousand.
_FULL = f"""
    SELECT device_id FROM commands_command
    WHERE device_id = ANY(%s::bigint[]) AND ended_at IS NULL
    GROUP BY device_id HAVING count(*) >= {MAX_PENDING}
"""


def find_full_devices(device_ids: Collection[int]) -> set[int]:
    """Return which of these devices have so many open commands that none is added."""
    return {pk for (pk,) in bulk_sql.fetch(_FULL, [sorted(device_ids)])}


def find_devices_being_configured(device_ids: Collection[int]) -> set[int]:
    """Return which of these devices have a configuration command that has not ended."""
    rows = Command.objects.filter(
        device_id__in=device_ids,
        command_class=CommandClass.CONFIG,
        ended_at__isnull=True,
    )
    return set(rows.values_list("device_id", flat=True))
