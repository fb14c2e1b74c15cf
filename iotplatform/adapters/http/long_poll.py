"""The waiting polls of devices: each ends when a command of its devices is due."""

from __future__ import annotations

from django.utils import timezone

from commands.selectors.due import devices_with_due
from commands.services.adapter_wakeup import COMMANDS_DUE
from iotplatform.adapters.http.parse_body import ADAPTER
from iotplatform.common.waiting import Waiters


def find_with_due(device_ids: frozenset[int]) -> set[int]:
    return devices_with_due(device_ids, adapter=ADAPTER, now=timezone.now())


waiters = Waiters[int](
    channel=COMMANDS_DUE, find_ready=find_with_due, limit="DEVICE_POLLS"
)
