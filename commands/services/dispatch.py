"""How an adapter delivers commands: claim, check again, publish or release, mark."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
)
from commands.models import Command
from commands.selectors.claimed import ClaimedCommand, list_claimed
from commands.selectors.due import held_back_by_job
from commands.services import job_maintenance, retry_policy, verification
from commands.services.claim_queues import claim_in_turns, claim_of_devices
from commands.services.device_links import links_of
from commands.services.gateway_windows import hold_back
from commands.services.publish_outcomes import apply_publish, apply_release
from commands.services.retained_config import remember_retained
from commands.services.sent_marks import UNPUBLISHED, mark_waiting
from commands.services.transitions import Moves, lock_claims, seconds
from iotplatform.common import bulk_sql
from iotplatform.common.instants import instant_text
from registry.choices import Adapter
from state.selectors import deliverability_of, desired_of
from state.services.presence.expected_disconnects import expect_disconnect

S = CommandStatus
Claim = tuple[UUID, UUID]  # the command's public id, and the token of the claim

_BEGIN_ATTEMPTS = """
    INSERT INTO commands_attempt
        (tenant_id, command_id, number, adapter, token, claimed_at, outcome, error)
    SELECT tenant_id, id, attempt_count, %s, claim_token, %s, 'claimed', ''
    FROM commands_command WHERE id = ANY(%s::bigint[]) ORDER BY id
"""


@dataclass(frozen=True)
class OutgoingCommand:
    """One message to publish, and the claim that allows it."""

    command_id: UUID
    token: UUID
    topic: str
    payload: bytes
    retain: bool
    # None for retained configuration: it waits for the device at the broker.
    message_expiry_seconds: int | None


def claim_due(
    *,
    adapter: str,
    limit: int,
    lease_seconds: float,
    now: datetime,
    device_ids: Collection[int] | None = None,
) -> list[OutgoingCommand]:
    """Claim due commands of the adapter's devices; return what to publish.

    With ``device_ids``, only the commands of these devices (an adapter that is polled).
    """
    with transaction.atomic():
        ids = _claim(adapter, limit, lease_seconds, now, device_ids)
        commands = hold_back(list_claimed(ids), now=now)
        if not commands:
            return []
        kept = [command.pk for command in commands]
        bulk_sql.run(_BEGIN_ATTEMPTS, [adapter, now, kept])
        outgoing = _outgoing_commands(commands, now)
        if adapter == Adapter.MQTT:
            configs = [c for c in commands if c.command_class == CommandClass.CONFIG]
            remember_retained(
                [(c.tenant_id, c.device_id, _desired_topic(c)) for c in configs], at=now
            )
    # Before the publish, but after the commit: everywhere else presence rows are locked
    # before commands.
    _expect_disconnects(commands, now)
    job_maintenance.begin(commands, now)
    return outgoing


def find_publishable(claims: Collection[Claim], *, now: datetime) -> set[UUID]:
    """Return the ids among ``claims`` that may still be published.

    To be called right before the publish: a command that was cancelled, superseded or
    answered since, or whose lease is over, is not among them.
    """
    wanted = set(claims)
    claimed = Command.objects.filter(
        public_id__in=[public_id for public_id, _ in wanted],
        status=S.QUEUED,
        claimed_until__gt=now,
        expires_at__gt=now,
    ).exclude(held_back_by_job())
    tokens = claimed.values_list("public_id", "claim_token")
    return {public_id for public_id, token in tokens if (public_id, token) in wanted}


@transaction.atomic
def release_claims(claims: Collection[Claim], *, now: datetime) -> None:
    """Give back claims that were not published; they count as no attempt.

    For what ``find_publishable`` left out: a command of a paused job is queued as
    before, and is sent when the job goes on.
    """
    commands = lock_claims(claims)
    moves = Moves(now=now)
    for command in commands:
        apply_release(command, moves)
    moves.write()
    retry_policy.close_attempts(commands, AttemptOutcome.STOPPED, at=now)


@transaction.atomic
def mark_sent(claims: Collection[Claim], at: datetime) -> set[UUID]:
    """Record that the broker accepted them; return the ids whose claim was valid."""
    marked = mark_waiting(claims, at=at)
    commands = lock_claims([claim for claim in claims if claim[0] not in marked])
    if not commands:
        return marked
    configs = [c for c in commands if c.command_class == CommandClass.CONFIG]
    connectivity = deliverability_of([c.device_id for c in configs])
    moves = Moves(now=at)
    for command in commands:
        away = connectivity.get(command.device_id)
        apply_publish(command, moves, away=away)
    verification.verify_reported_meanwhile(commands, moves)
    moves.write()
    _mark_attempts(commands, at)
    return marked | {command.public_id for command in commands}


@transaction.atomic
def mark_not_sent(claims: Collection[Claim], error: str, at: datetime) -> set[UUID]:
    """Record that they could not be sent; they are retried as their policy says."""
    commands = [c for c in lock_claims(claims) if c.status == S.QUEUED]
    losses = retry_policy.close_lost(
        commands, AttemptOutcome.NOT_SENT, at=at, error=error
    )
    moves = Moves(now=at)
    for command in commands:
        retry_policy.retry_after_loss(
            command,
            moves,
            cause=f"not sent: {error}",
            losses=losses.get(command.pk, 0),
        )
    moves.write()
    return {command.public_id for command in commands}


def _base_topic(command: ClaimedCommand) -> str:
    """The topic that its device listens to; a child listens via its gateway."""
    if command.relay_uid is not None:
        return f"iot/v1/{command.relay_uid}/child/{command.uid}"
    return f"iot/v1/{command.uid}"


def _desired_topic(command: ClaimedCommand) -> str:
    return f"{_base_topic(command)}/down/desired"


def _claim(
    adapter: str,
    limit: int,
    lease_seconds: float,
    now: datetime,
    device_ids: Collection[int] | None,
) -> list[int]:
    until = now + timedelta(seconds=lease_seconds)
    if device_ids is None:
        return claim_in_turns(adapter=adapter, limit=limit, now=now, until=until)
    return claim_of_devices(
        sorted(device_ids), adapter=adapter, limit=limit, now=now, until=until
    )


def _outgoing_commands(
    commands: Sequence[ClaimedCommand], now: datetime
) -> list[OutgoingCommand]:
    configs = [c for c in commands if c.command_class == CommandClass.CONFIG]
    desired = desired_of([c.device_id for c in configs])
    links = links_of(commands)
    outgoing = []
    for command in commands:
        is_config = command.command_class == CommandClass.CONFIG
        if is_config:
            document, version = desired.get(command.device_id, ({}, 0))
            topic = _desired_topic(command)
            body = {
                "version": version,
                "desired": document,
                "command_id": str(command.public_id),
            }
        else:
            topic = f"{_base_topic(command)}/down/command"
            body = _command_body(command, links.get(command.pk, {}))
        left = (command.expires_at - now).total_seconds()
        outgoing.append(
            OutgoingCommand(
                command_id=command.public_id,
                token=command.claim_token,
                topic=topic,
                payload=msgspec.json.encode(body),
                retain=is_config,
                message_expiry_seconds=None if is_config else max(1, math.ceil(left)),
            )
        )
    return outgoing


def _command_body(command: ClaimedCommand, links: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(command.public_id),
        "name": command.name,
        "params": command.params | links,
        "attempt": command.attempt_count,
        "expires_at": instant_text(command.expires_at),
    }


def _expect_disconnects(commands: Sequence[ClaimedCommand], now: datetime) -> None:
    """Announce to state that these devices will disconnect because of our command."""
    by_name: dict[str, list[ClaimedCommand]] = {}
    for command in commands:
        if command.is_disconnecting:
            by_name.setdefault(command.name, []).append(command)
    for name, group in by_name.items():
        longest = max(
            seconds(c, "receive_timeout") + seconds(c, "execute_timeout") for c in group
        )
        expect_disconnect(
            [c.device_id for c in group],
            at=now,
            until=now + longest,
            reason=f"our command {name}",
        )


def _mark_attempts(commands: Sequence[Command], at: datetime) -> None:
    for attempts in retry_policy.newest_attempts(commands):
        attempts.update(
            sent_at=Coalesce("sent_at", Value(at)),
            # If the device has answered already, that outcome stays.
            outcome=Case(
                When(outcome__in=UNPUBLISHED, then=Value(AttemptOutcome.SENT)),
                default=F("outcome"),
            ),
        )
