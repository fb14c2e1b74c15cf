"""What a work item says of its command or job, for many at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from commands.choices import CommandClass
from commands.definitions import UPDATE_FIRMWARE
from commands.models import Command, Job
from registry.models import Device


@dataclass(frozen=True)
class Described:
    """A command or job as a work item shows it; ``uid`` is empty for a job."""

    name: str
    command_class: str
    failure_class: str = ""
    uid: str = ""
    ends_at: datetime | None = None  # nothing can be done about it after this

    @property
    def is_control(self) -> bool:
        return self.command_class == CommandClass.CONTROL


def describe_commands(public_ids: Collection[UUID]) -> dict[UUID, Described]:
    """Return what work items say of these commands, in one query."""
    rows: Any = Command.objects.filter(public_id__in=public_ids).values_list(
        "public_id",
        "name",
        "command_class",
        "failure_class",
        "device__uid",
        "expires_at",
    )
    return {public_id: Described(*values) for public_id, *values in rows}


def describe_jobs(public_ids: Collection[UUID]) -> dict[UUID, Described]:
    """Return what work items say of these jobs, in one query."""
    rows = Job.objects.filter(public_id__in=public_ids).values_list(
        "public_id", "name", "command_class", "deadline"
    )
    return {
        public_id: Described(name, command_class, ends_at=deadline)
        for public_id, name, command_class, deadline in rows
    }


def describe_gateways(public_ids: Collection[UUID]) -> dict[UUID, Described]:
    """Return what work items say of gateways that do not go with their children."""
    rows = Device.objects.filter(public_id__in=public_ids)
    return {
        public_id: Described(UPDATE_FIRMWARE, CommandClass.CONFIG, uid=uid)
        for public_id, uid in rows.values_list("public_id", "uid")
    }
