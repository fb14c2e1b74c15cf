"""The entry point for messages of devices: state judges them, then commands move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction

from commands.models import Command
from commands.selectors.affected_commands import (
    commands_named_by,
    commands_verifiable_by_reports,
    commands_waiting_for,
)
from commands.services import device_responses, retry_policy, verification
from commands.services.adapter_wakeup import wake_adapters
from commands.services.transitions import Moves, lock_commands
from iotplatform.common.deadlocks import repeat_on_deadlock
from registry.choices import CONNECTS
from registry.selectors.devices import IngestDevice, get_ingest_devices_across_tenants
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from state.services.ingest import Arrival, Judged, judge

if TYPE_CHECKING:
    from iotplatform.common.messages import Uplink

# Every writer locks rows of several tables in this order: job, wave, member;
# presence, expected disconnect, twin, telemetry, alarm; command, attempt; dead letters.
# Within a table by key. Sweeps skip locked rows, and so wait for nobody. After a
# deadlock the whole transaction is repeated.
LEFT_OUT = "bad_metrics"  # the reason of a letter whose message was accepted otherwise
RESPONSE_KINDS = frozenset({"ack", "progress", "result"})
NO_ID = UUID(int=0)
LATEST_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)


def ingest_batch(
    uplinks: Sequence[Uplink], dead: Sequence[DeadLetterDraft], *, now: datetime
) -> list[DeadLetterDraft]:
    """Ingest one whole batch: devices, dead letters, state, commands.

    When it returns, everything is committed, and the batch may be acknowledged. It
    returns every message that was refused and became a dead letter, so that an adapter
    can report it to the device. A message that was accepted without some of its metrics
    has a dead letter too, which names them.
    """

    @transaction.atomic
    def ingest() -> list[DeadLetterDraft]:
        letters, judged = _ingest(uplinks, list(dead), now=now)
        left_out = [_left_out_letter(a) for a in judged.fresh if a.uplink.left_out]
        record_dead_letters([*letters, *left_out], now=now)
        return letters

    return repeat_on_deadlock(ingest)


def ingest_again(
    uplink: Uplink, *, now: datetime
) -> tuple[DeadLetterDraft | None, Judged]:
    """Ingest one message that is kept as a dead letter, in the caller's transaction.

    Return the dead letter that it would become again (it is neither stored nor counted
    a second time), or None, and what was new in the message.
    """
    letters, judged = _ingest([uplink], [], now=now)
    return (letters[0] if letters else None), judged


def _ingest(
    uplinks: Sequence[Uplink], dead: list[DeadLetterDraft], *, now: datetime
) -> tuple[list[DeadLetterDraft], Judged]:
    uids = {uplink.uid for uplink in uplinks}
    uids |= {uplink.gateway_uid for uplink in uplinks if uplink.gateway_uid}
    uids |= {uid for draft in dead for uid in (draft.uid, draft.sender) if uid}
    devices = get_ingest_devices_across_tenants(sorted(uids))
    dead = [_addressed(draft, devices) for draft in dead]
    heard = [devices[draft.uid] for draft in dead if draft.device_id is not None]
    arrivals = []
    for uplink in uplinks:
        device = devices.get(uplink.uid)
        reason, detail = _refusal(uplink, device, devices)
        if device is not None and not reason:
            arrivals.append(Arrival(uplink, device))
        else:
            dead.append(_letter(uplink, devices, reason, detail))
    judged = judge(arrivals, now=now, heard=heard)
    if _apply(judged, dead, devices, now=now):
        wake_adapters()
    return dead, judged


def _refusal(
    uplink: Uplink, device: IngestDevice | None, devices: dict[str, IngestDevice]
) -> tuple[str, str]:
    """Return the reason and detail of a refusal; both empty for a valid message."""
    if device is None:
        return "unknown_device", f"There is no device {uplink.uid}."
    if device.lifecycle not in CONNECTS:
        return "lifecycle", f"{uplink.uid} is {device.lifecycle}."
    if uplink.gateway_uid is None:
        return "", ""
    gateway = devices.get(uplink.gateway_uid)
    if gateway is None:
        return "unknown_device", f"There is no gateway {uplink.gateway_uid}."
    if device.gateway_id != gateway.id:
        return (
            "gateway_mismatch",
            f"{uplink.uid} is not a child of {uplink.gateway_uid}.",
        )
    return "", ""


def _apply(
    judged: Judged,
    dead: list[DeadLetterDraft],
    devices: Mapping[str, IngestDevice],
    *,
    now: datetime,
) -> bool:
    """Move the commands that this batch is about; return whether any became due."""
    responses = [a for a in judged.fresh if a.uplink.kind in RESPONSE_KINDS]
    ids = commands_named_by([a.uplink.command_id for a in responses])
    ids |= commands_verifiable_by_reports(judged.reported.keys(), now=now)
    ids |= commands_waiting_for(judged.born)
    if not ids and not responses:
        return False
    commands = lock_commands(ids)
    moves = Moves(now=now)
    by_public_id = {command.public_id: command for command in commands.values()}
    answered = []
    for arrival in responses:
        command = by_public_id.get(arrival.uplink.command_id or NO_ID)
        refusal = _response_refusal(command, arrival)
        if command is None or refusal:
            letter = _letter(arrival.uplink, devices, "unknown_command", refusal)
            dead.append(letter)
            continue
        answered.append(command)
        _apply_one(command, moves, arrival.uplink)
    due = False
    for command in commands.values():
        twin = judged.reported.get(command.device_id)
        if twin is not None:
            verification.verify_if_met(command, moves, reported=twin.reported)
        if command.device_id in judged.born:
            due |= device_responses.release_at_birth(command, moves)
    unmarked = [command for command in answered if command.sent_at is None]
    verification.verify_reported_meanwhile(unmarked, moves)
    moves.write()
    retry_policy.mark_attempts_answered(answered, now)
    return due


def _response_refusal(command: Command | None, arrival: Arrival) -> str:
    """Return why this response is not applied; another device's command never changes.

    The text is the same for an unknown command and for another device's command: a
    device must not learn from it which ids exist.
    """
    if command is None or command.device_id != arrival.device.id:
        return f"{arrival.device.uid} has no command {arrival.uplink.command_id}."
    if command.attempt_count == 0:
        return f"Command {command.public_id} was never sent."
    return ""


def _apply_one(command: Command, moves: Moves, uplink: Uplink) -> None:
    message: Any = uplink.message
    if uplink.kind == "ack":
        device_responses.apply_acknowledgement(
            command,
            moves,
            status=message.status,
            reason=message.reason or "",
            until=_instant(message.until),
            at=moves.now,
        )
    elif uplink.kind == "progress":
        device_responses.apply_progress(
            command, moves, payload=message.payload or {}, at=moves.now
        )
    else:
        device_responses.apply_result(
            command,
            moves,
            status=message.status,
            code=message.code,
            payload=message.payload,
            at=moves.now,
        )


def _addressed(
    draft: DeadLetterDraft, devices: Mapping[str, IngestDevice]
) -> DeadLetterDraft:
    """Give a dead letter the tenant whose people see it: the tenant of the device.

    A gateway may relay a message for a device that is not its child, and that may
    belong to another tenant. Such a letter goes to the gateway's tenant.
    """
    device, sender = devices.get(draft.uid), devices.get(draft.sender)
    if device is not None and _speaks_for(sender, device):
        return replace(draft, tenant_id=device.tenant_id, device_id=device.id)
    return replace(draft, tenant_id=sender.tenant_id) if sender else draft


def _speaks_for(sender: IngestDevice | None, device: IngestDevice) -> bool:
    return sender is not None and sender.id in (device.id, device.gateway_id)


def _letter(
    uplink: Uplink, devices: Mapping[str, IngestDevice], reason: str, detail: str
) -> DeadLetterDraft:
    draft = DeadLetterDraft(
        topic=uplink.topic,
        adapter=uplink.adapter,
        reason=reason,
        detail=detail,
        uid=uplink.uid,
        payload=uplink.payload,
    )
    return _addressed(draft, devices)


def _left_out_letter(arrival: Arrival) -> DeadLetterDraft:
    """Return the letter of an accepted message some of whose metrics cannot be used."""
    uplink, device = arrival.uplink, arrival.device
    return DeadLetterDraft(
        topic=uplink.topic,
        adapter=uplink.adapter,
        reason=LEFT_OUT,
        detail=uplink.left_out,
        tenant_id=device.tenant_id,
        device_id=device.id,
        payload=uplink.payload,
        uid=uplink.uid,
    )


def _instant(milliseconds: int | None) -> datetime | None:
    """Read a device's time; one that Python cannot hold becomes the latest instant."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return LATEST_UNTIL
