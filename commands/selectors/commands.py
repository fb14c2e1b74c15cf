"""Reads of commands, their attempts and events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet

from commands.exceptions import CommandNotFound
from commands.models import Attempt, Command, CommandEvent
from iotplatform.common.ids import parse_uuid
from registry.models import Tenant
from registry.selectors.access import attach_caller_tenant, within

# An event's clock may be a little behind its command's: partitions are pruned by time,
# and this margin includes the first event.
BEFORE_CREATION = timedelta(hours=1)


def list_commands(*, tenants: Sequence[Tenant]) -> QuerySet[Command]:
    """Return the commands of these tenants with the rows that the API names."""
    return (
        Command.objects.filter(within(tenants, device="device"))
        .select_related("tenant", "device", "job", "requested_by", "retry_of")
        .order_by("-pk")
    )


def get_command(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Command:
    """Return one command; raises CommandNotFound."""
    wanted = parse_uuid(public_id)
    commands = list_commands(tenants=tenants)
    found = commands.filter(public_id=wanted).first() if wanted else None
    if found is None:
        raise CommandNotFound("There is no such command.")
    attach_caller_tenant(found, tenants)
    return found


def list_attempts(command: Command) -> QuerySet[Attempt]:
    """Return the attempts at delivery, oldest first."""
    return Attempt.objects.filter(command=command).order_by("number")


def list_events(command: Command) -> QuerySet[CommandEvent]:
    """Return the command's events, oldest first."""
    return CommandEvent.objects.filter(
        command=command, at__gte=command.created_at - BEFORE_CREATION
    ).order_by("at", "pk")


def attempts_of(commands: Collection[Command]) -> dict[int, list[Attempt]]:
    """Return the attempts of many commands, in one query."""
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    rows = Attempt.objects.filter(command_id__in=[command.pk for command in commands])
    for attempt in rows.order_by("command_id", "number"):
        attempts[attempt.command_id].append(attempt)
    return attempts


def events_of(commands: Collection[Command]) -> dict[int, list[CommandEvent]]:
    """Return the events of many commands, in one query."""
    events: dict[int, list[CommandEvent]] = defaultdict(list)
    if not commands:
        return events
    oldest = min(command.created_at for command in commands) - BEFORE_CREATION
    rows = CommandEvent.objects.filter(
        command_id__in=[command.pk for command in commands], at__gte=oldest
    )
    for event in rows.order_by("at", "pk"):
        events[event.command_id].append(event)
    return events
