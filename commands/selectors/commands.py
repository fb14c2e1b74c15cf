"""Reads of commands, their attempts and events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet

from commands.exceptions import CommandNotFound
from commands.models import Attempt, Command, CommandEvent
from registry.models import Tenant
from registry.selectors.access import carry, within

# An event may carry a clock that is a little behind the row's: partitions are pruned
# by time, and this keeps the first event in.
BEFORE_CREATION = timedelta(hours=1)


def list_commands(*, tenants: Sequence[Tenant]) -> QuerySet[Command]:
    """Return the commands of these tenants with what their answers name."""
    return (
        Command.objects.filter(within(tenants, device="device"))
        .select_related("tenant", "device", "job", "requested_by", "retry_of")
        .order_by("-pk")
    )


def get_command(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Command:
    """Return one command; raise CommandNotFound."""
    try:
        wanted = public_id if isinstance(public_id, UUID) else UUID(public_id)
    except ValueError:
        wanted = None
    found = (
        list_commands(tenants=tenants).filter(public_id=wanted).first()
        if wanted
        else None
    )
    if found is None:
        raise CommandNotFound("There is no such command.")
    carry(found, tenants)
    return found


def list_attempts(command: Command) -> QuerySet[Attempt]:
    """Return the tries at delivery, the first one first."""
    return Attempt.objects.filter(command=command).order_by("number")


def list_events(command: Command) -> QuerySet[CommandEvent]:
    """Return the command's history, the oldest event first."""
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
