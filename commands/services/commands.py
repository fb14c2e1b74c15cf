"""Requesting a command: it is checked, recorded once, and queued or held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
    KeyKind,
    WaitsFor,
)
from commands.definitions import Definition
from commands.exceptions import CommandRefused, TooManyPending
from commands.failure_rules import kept_rules
from commands.models import Command, Job
from commands.rollouts import APPROVAL_LAPSES_AFTER
from commands.selectors.definitions import get_definition_of_device
from commands.selectors.pending import MAX_PENDING, find_full_devices
from commands.services import retry_policy
from commands.services.adapter_wakeup import wake_adapters
from commands.services.deliverability import AWAY
from commands.services.idempotency import claim_key, fingerprint
from commands.services.transitions import Moves, lane_of, lock_commands
from commands.validation import (
    check_params,
    check_policy,
    check_storable,
    complete_policy,
)
from iotplatform.common.ids import new_public_id
from registry.choices import TAKES_COMMANDS
from registry.models import Device, User
from state.judgment.desired_asks import Ask
from state.selectors import GATEWAY_AWAY, deliverability_of
from state.services.twin import merge_desired

S = CommandStatus
WAITS = {
    WaitsFor.DEVICE: "; waits for the device",
    WaitsFor.GATEWAY: "; its gateway is not online",
    WaitsFor.APPROVAL: "; waits for an approval",
}
# When people asked for a command: a job's is created long after that, and one that
# needs an approval changes nothing before it.
ASKED_AT = Coalesce("job__started_at", "job__created_at", "approved_at", "created_at")


@transaction.atomic
def request_command(
    *,
    device: Device,
    name: str,
    params: dict[str, Any],
    policy: dict[str, Any] | None,
    idempotency_key: str | None,
    actor: User | None,
    expected_version: int | None = None,
    now: datetime | None = None,
) -> tuple[Command, bool]:
    """Record a command and queue its delivery; return it and whether it is new.

    A repeated request with the same key returns the first command. A command whose
    definition needs an approval is held until a second person gives it. Raises
    IdempotencyKeyReused for the same key with another request; InvalidCommand for an
    unknown name, bad parameters or a bad policy; CommandRefused for a device that takes
    no commands and for a control command unless the device is online; TooManyPending
    for a device that has too many open commands; state's refusal
    if ``expected_version`` is no longer the desired version.
    """
    check_storable(params)
    check_policy(policy)
    now = now or timezone.now()
    public_id = new_public_id()
    earlier = claim_key(
        device.tenant,
        idempotency_key,
        fingerprint(device.uid, name, params, policy or {}, expected_version),
        kind=KeyKind.COMMAND,
        public_id=public_id,
        now=now,
    )
    if earlier is not None:
        return Command.objects.get(tenant=device.tenant, public_id=earlier), False
    definition = get_definition_of_device(device, name)
    check_params(definition, params)
    check_device(device)
    if find_full_devices([device.pk]):
        raise TooManyPending(f"{device.uid} has {MAX_PENDING} pending commands.")
    connectivity = deliverability_of([device.pk])[device.pk]
    if not definition.needs_approval:
        check_reachable(device, definition, connectivity)
    command = new_command(
        device=device,
        definition=definition,
        params=params,
        policy=complete_policy(definition, policy),
        failure_rules=kept_rules(definition.reactions, policy),
        connectivity=connectivity,
        now=now,
    )
    command.public_id, command.requested_by = public_id, actor
    moves = Moves(now=now)
    if definition.needs_approval:
        hold_for_approval(command)
    elif definition.command_class == CommandClass.CONFIG:
        command.desired_version = merge_desired(
            device.pk,
            params,
            expected_version=expected_version,
            at=now,
            ask=Ask(now, "person", actor_name(actor)),
            command=public_id,
        )
        supersede_configs([device.pk], moves, asked_at=now)
    save_new([command], moves, actor=actor_name(actor), cause="requested")
    return command, True


def check_device(device: Device) -> None:
    """Raise CommandRefused for a device that takes no commands."""
    if device.lifecycle not in TAKES_COMMANDS:
        raise CommandRefused(
            f"{device.uid} is {device.get_lifecycle_display()}: it takes no commands."
        )
    if not device.product.takes_commands:
        raise CommandRefused(
            f"The product {device.product.slug} takes no commands (telemetry only)."
        )


def check_reachable(device: Device, definition: Definition, connectivity: str) -> None:
    """Raise CommandRefused for a real-time command to a device that is not online."""
    if definition.command_class == CommandClass.CONTROL and connectivity != "online":
        if connectivity == GATEWAY_AWAY:
            connectivity = "behind a gateway that is not online"
        raise CommandRefused(
            f"{device.uid} is {connectivity}: '{definition.name}' is a real-time"
            " command and needs an online device."
        )


def new_command(
    *,
    device: Device,
    definition: Definition,
    params: dict[str, Any],
    policy: dict[str, Any],
    connectivity: str,
    now: datetime,
    failure_rules: dict[str, Any] | None = None,
    job: Job | None = None,
    deadline: datetime | None = None,
) -> Command:
    """Build a command's row: due at once, or held until its device is online."""
    expires_at = expiry_of(policy, now=now, deadline=deadline)
    waits_for = first_wait(definition.command_class, connectivity)
    waits = waits_for != WaitsFor.NOTHING
    behind = waits_for == WaitsFor.GATEWAY
    return Command(
        tenant_id=device.tenant_id,
        device=device,
        name=definition.name,
        command_class=definition.command_class,
        adapter=device.adapter,
        params=params,
        policy=policy,
        is_repeatable=definition.is_repeatable,
        is_disconnecting=definition.is_disconnecting,
        failure_rules=failure_rules,
        job=job,
        created_at=now,
        status=S.HELD if waits else S.QUEUED,
        status_since=now,
        waits_for=waits_for,
        failure_class=FailureClass.GATEWAY_UNREACHABLE if behind else "",
        expires_at=expires_at,
        due_at=expires_at if waits else now,
        expectation=definition.expected(params),
    )


def expiry_of(
    policy: dict[str, Any], *, now: datetime, deadline: datetime | None
) -> datetime:
    """Return when a new command expires: not after the deadline of its job."""
    expires_at = now + timedelta(seconds=policy["expires_in_seconds"])
    return min(expires_at, deadline) if deadline else expires_at


def first_wait(command_class: CommandClass | str, connectivity: str) -> WaitsFor:
    """Return what a new command waits for, before it is queued.

    Configuration is never held here: it is retained at the broker, so that a device
    gets it when it subscribes; dispatch holds it after that.
    """
    if connectivity not in AWAY or command_class == CommandClass.CONFIG:
        return WaitsFor.NOTHING
    return WaitsFor.GATEWAY if connectivity == GATEWAY_AWAY else WaitsFor.DEVICE


def save_new(
    commands: Sequence[Command],
    moves: Moves,
    *,
    actor: str,
    cause: str,
    remarks: Mapping[UUID, str] | None = None,
) -> None:
    """Insert new commands with their first events, and wake the adapters once.

    ``remarks`` are added to the cause of single commands, by their public id.
    """
    for command in commands:
        command.lane = lane_of(command)
    Command.objects.bulk_create(commands)
    for command in commands:
        if command.retry_of_id is not None:
            moves.extend(command, command.expires_at)
    for command in commands:
        waits = WAITS.get(WaitsFor(command.waits_for), "")
        remark = (remarks or {}).get(command.public_id, "")
        moves.note(command, f"{cause}{waits}{remark}", actor=actor)
    moves.write()
    if any(command.status == S.QUEUED for command in commands):
        wake_adapters()


def supersede_configs(
    device_ids: Sequence[int], moves: Moves, *, asked_at: datetime
) -> None:
    """End the devices' open config commands that were asked for earlier.

    The caller has locked the twins of these devices, so no newer command can be created
    meanwhile. What waits for an approval has changed nothing yet, and stays.
    """
    still_open = Command.objects.filter(
        device_id__in=device_ids,
        command_class=CommandClass.CONFIG,
        ended_at__isnull=True,
    ).exclude(waits_for=WaitsFor.APPROVAL)
    earlier = still_open.annotate(asked_at=ASKED_AT).filter(asked_at__lte=asked_at)
    ids = list(earlier.values_list("pk", flat=True))
    locked = list(lock_commands(ids).values())
    claimed = [command for command in locked if command.status == S.QUEUED]
    for command in locked:
        moves.move(command, S.SUPERSEDED, cause="a newer configuration was requested")
    retry_policy.close_attempts(claimed, AttemptOutcome.STOPPED, at=moves.now)


def withdraw_command(
    command: Command, moves: Moves, *, cause: str, actor: str, supersede: bool = False
) -> None:
    """End an open command of a device that leaves its place or its tenant.

    Only the device knows the end of a command that it has received: that one becomes
    unknown, unless ``supersede`` says that another command replaces it.
    """
    was = CommandStatus(command.status)
    to, failure = S.CANCELLED, ""
    if supersede or was == S.SUCCEEDED:
        to = S.SUPERSEDED
    elif was in (S.RECEIVED, S.RUNNING):
        to, failure = S.UNKNOWN, FailureClass.UNKNOWN_OUTCOME
    moved = moves.move(command, to, cause=cause, actor=actor, failure_class=failure)
    if moved and to == S.UNKNOWN:
        moves.need_person(command, f"{to.label}: {cause}")
    if was == S.QUEUED:
        retry_policy.close_attempts([command], AttemptOutcome.STOPPED, at=moves.now)


def actor_name(actor: User | None) -> str:
    """Return the actor's name as events record it."""
    return actor.get_username() if actor else "platform"


def hold_for_approval(command: Command) -> None:
    """Hold a new command; its own expiry begins when it is approved."""
    command.needs_approval = True
    command.status, command.waits_for = S.HELD, WaitsFor.APPROVAL
    command.expires_at = command.created_at + APPROVAL_LAPSES_AFTER
    command.due_at = command.expires_at
