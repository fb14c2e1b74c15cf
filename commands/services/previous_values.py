"""Keeping what a job's members had before they get its command."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from commands.models import Job, MemberValues
from iotplatform.common import bulk_sql
from state.judgment.twin_documents import Document
from state.selectors import firmware_of

_KEEP = f"""
    INSERT INTO commands_membervalues (tenant_id, target_id, previous)
    SELECT %s, v.* FROM {bulk_sql.unnest(MemberValues, "target_id", "previous")}
    ON CONFLICT (target_id) DO UPDATE SET previous = excluded.previous
"""


def keep_previous(job: Job, previous: Mapping[int, Document]) -> None:
    """Keep the parameters that restore each member's values, by member."""
    rows = [(pk, _encode(params)) for pk, params in sorted(previous.items())]
    if rows:
        bulk_sql.run(_KEEP, [job.tenant_id, *bulk_sql.columns_of(rows, 2)])


def keep_firmware(job: Job, devices: Mapping[int, int]) -> None:
    """Keep the firmware that each member reports; nothing of one that reports none.

    ``devices`` are the devices of the members.
    """
    reported = firmware_of(list(devices.values()))
    previous: dict[int, Document] = {}
    for target_id, device_id in devices.items():
        version = reported.get(device_id)
        previous[target_id] = {"version": version} if version else {}
    keep_previous(job, previous)


def _encode(document: Document) -> str:
    return msgspec.json.encode(document).decode()
