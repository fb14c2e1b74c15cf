"""Reads of the files that devices uploaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from commands.exceptions import FileNotFound
from commands.models import Command, DeviceFile, DeviceFilePart
from iotplatform.common.ids import parse_uuid
from registry.models import Device


def files_of(commands: Collection[Command]) -> dict[int, list[DeviceFile]]:
    """Return the complete files of many commands, in one query."""
    found: dict[int, list[DeviceFile]] = defaultdict(list)
    rows = DeviceFile.objects.filter(
        command_id__in=[command.pk for command in commands], completed_at__isnull=False
    )
    for row in rows.select_related("command").order_by("pk"):
        found[row.command_id].append(row)
    return found


def list_files(device: Device) -> QuerySet[DeviceFile]:
    """Return the complete files that its tenant has of a device, newest first."""
    rows = DeviceFile.objects.filter(
        device=device, tenant=device.tenant_id, completed_at__isnull=False
    )
    return rows.select_related("command").order_by("-pk")


def get_file(command: Command, public_id: UUID | str) -> DeviceFile:
    """Return a complete file of a command; raises FileNotFound."""
    wanted = parse_uuid(public_id)
    rows = DeviceFile.objects.filter(
        command=command, tenant=command.tenant_id, completed_at__isnull=False
    )
    found = rows.filter(public_id=wanted).first() if wanted else None
    if found is None:
        raise FileNotFound("There is no such file.")
    return found


def read_file(file: DeviceFile) -> bytes:
    """Return the whole content; uploads are limited in size."""
    parts = DeviceFilePart.objects.filter(file=file, tenant=file.tenant_id)
    return b"".join(
        bytes(part)
        for part in parts.order_by("start").values_list("content", flat=True)
    )
