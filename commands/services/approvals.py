"""A second person lets a command go on that needs an approval."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from commands.choices import CommandClass, CommandStatus
from commands.exceptions import TransitionRefused
from commands.models import Command
from commands.selectors.definitions import definition_of_command
from commands.services import retry_policy
from commands.services.adapter_wakeup import wake_adapters
from commands.services.commands import (
    actor_name,
    check_device,
    check_reachable,
    supersede_configs,
)
from commands.services.deliverability import AWAY
from commands.services.transitions import Moves, lock_commands
from iotplatform.common.problems import Forbidden
from registry.models import Device, User
from state.judgment.desired_asks import Ask
from state.selectors import deliverability_of
from state.services.twin import merge_desired

S = CommandStatus


@transaction.atomic
def approve_command(
    *, command: Command, actor: User | None, reason: str, now: datetime | None = None
) -> Command:
    """Queue a command that waits for an approval; its expiry begins now.

    Raises Forbidden for its author, TransitionRefused for one that does not wait for
    an approval, and CommandRefused if the device takes no command now.
    """
    _check_waiting(command)
    _refuse_author(command.requested_by_id, actor)
    device = Device.objects.select_related("product").get(pk=command.device_id)
    check_device(device)
    away = deliverability_of([device.pk])[device.pk]
    check_reachable(device, definition_of_command(command), away)
    moves = Moves(now=now or timezone.now())
    # The twin is locked before the command, as everywhere.
    is_config = command.command_class == CommandClass.CONFIG
    version = _merge(command, device, moves, actor) if is_config else None
    locked = lock_commands([command.pk])[command.pk]
    _check_waiting(locked)
    locked.approved_at, locked.desired_version = moves.now, version
    locked.save(update_fields=["approved_at", "desired_version"])
    lasts = timedelta(seconds=locked.policy["expires_in_seconds"])
    locked.expires_at = moves.now + lasts
    cause = "approved" + (f": {reason}" if reason else "")
    moves.move(locked, S.QUEUED, cause=cause, actor=actor_name(actor), due_at=moves.now)
    if away in AWAY and not is_config:
        retry_policy.wait_for_device(locked, moves, cause="the device is offline")
    moves.write()
    wake_adapters()
    return locked


def _check_waiting(command: Command) -> None:
    if command.status != S.HELD or not command.is_unapproved:
        raise TransitionRefused(
            f"The command is {command.get_status_display()}: it waits for no approval."
        )


def _refuse_author(author_id: int | None, actor: User | None) -> None:
    if actor is not None and author_id == actor.pk:
        raise Forbidden("A second person must approve it: you asked for it yourself.")


def _merge(
    command: Command, device: Device, moves: Moves, actor: User | None
) -> int | None:
    """Put its patch into the desired document, as asked for by now."""
    author = command.requested_by
    version = merge_desired(
        device.pk,
        command.params,
        at=moves.now,
        ask=Ask(moves.now, "person", actor_name(author or actor)),
        command=command.public_id,
    )
    supersede_configs([device.pk], moves, asked_at=moves.now)
    return version
