"""Writes of the files that devices upload for a command, and their retention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from commands.exceptions import FileMoved, FileTooLong
from commands.models import Command, DeviceFile, DeviceFilePart
from commands.services.transitions import lock_commands
from iotplatform.common.problems import NotFound

SWEEP_BATCH = 100  # files, each with up to DEVICE_FILE_MAX_BYTES


@dataclass(frozen=True)
class Part:
    """What one request brings: bytes from ``start``, of a file of ``total`` bytes."""

    start: int
    content: bytes
    total: int


def get_uploaded(command_id: UUID) -> DeviceFile | None:
    """Return what a device has uploaded for a command so far."""
    return DeviceFile.objects.filter(command__public_id=command_id).first()


@transaction.atomic
def store_part(command_id: UUID, part: Part, *, now: datetime) -> DeviceFile:
    """Add a part to a command's file; a part from 0 begins the file anew.

    Raises NotFound without such a command, FileTooLong above the limit, and FileMoved
    for a part that does not begin where the file ends.
    """
    if max(part.total, part.start + len(part.content)) > settings.DEVICE_FILE_MAX_BYTES:
        raise FileTooLong(
            f"At most {settings.DEVICE_FILE_MAX_BYTES} bytes can be uploaded."
        )
    command = _lock(command_id)
    file, _ = DeviceFile.objects.get_or_create(
        command=command,
        defaults={
            "tenant_id": command.tenant_id,
            "device_id": command.device_id,
            "name": f"{command.device.uid}-{now:%Y%m%d-%H%M%S}.log",
        },
    )
    if part.start == 0:
        DeviceFilePart.objects.filter(file=file).delete()
        file.size, file.completed_at = 0, None
    if part.start != file.size:
        raise FileMoved(f"The file has {file.size} bytes: go on from there.")
    if part.content:
        DeviceFilePart.objects.create(
            tenant_id=file.tenant_id, file=file, start=part.start, content=part.content
        )
    file.size += len(part.content)
    file.completed_at = now if file.size == part.total else None
    file.save(update_fields=["size", "completed_at"])
    return file


def delete_old_files_across_tenants(*, now: datetime) -> int:
    """Delete a batch of files older than DEVICE_FILE_DAYS; return how many."""
    before = now - timedelta(days=settings.DEVICE_FILE_DAYS)
    old = DeviceFile.objects.filter(created_at__lt=before).order_by("created_at")
    ids = list(old.values_list("pk", flat=True)[:SWEEP_BATCH])
    DeviceFile.objects.filter(pk__in=ids).delete()
    return len(ids)


def _lock(command_id: UUID) -> Command:
    """Lock the command, so that two uploads of a device write one after the other."""
    pk = Command.objects.filter(public_id=command_id).values_list("pk", flat=True)
    commands = lock_commands(list(pk))
    if not commands:
        raise NotFound("There is no such command any more.")
    (command,) = commands.values()
    return command
