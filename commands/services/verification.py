"""Verifying commands by what their devices report after the publish."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Min

from commands.choices import AttemptOutcome, CommandStatus
from commands.models import Attempt, Command
from commands.services.transitions import DEVICE, Moves
from state.judgment.twin_documents import Document, is_met
from state.selectors import reports_of

NEVER_PUBLISHED = (AttemptOutcome.NOT_SENT, AttemptOutcome.STOPPED)


def verify_if_met(command: Command, moves: Moves, *, reported: Document) -> bool:
    """Verify a published command whose expectation the reported document meets.

    The caller has checked that the report came after the publish.
    """
    if not command.is_published or not _is_met(command, reported):
        return False
    cause = "the reported state confirms it"
    if command.succeeded_at is None:
        cause += "; that it was executed is inferred"
    moved = moves.move(command, CommandStatus.VERIFIED, cause=cause, actor=DEVICE)
    if moved:
        command.verified_at = moves.now
    return moved


def verify_if_reported_since(
    command: Command,
    moves: Moves,
    *,
    reported: Document,
    reported_at: datetime,
    claimed_at: datetime,
) -> bool:
    """Verify a command by a report that is not older than its first claim."""
    if reported_at < claimed_at:
        return False
    return verify_if_met(command, moves, reported=reported)


def verify_reported_meanwhile(commands: Collection[Command], moves: Moves) -> None:
    """Verify commands that were reported before we knew of their publish.

    A fast device reports before the PUBACK is recorded. A report from before the first
    claim was so without the command, and proves nothing.
    """
    waiting = [c for c in commands if c.expectation is not None and c.ended_at is None]
    reports = reports_of({command.device_id for command in waiting})
    met = [
        command
        for command in waiting
        if command.device_id in reports
        and _is_met(command, reports[command.device_id][0])
    ]
    claimed = _first_claims(met)
    for command in met:
        document, reported_at = reports[command.device_id]
        if (first := claimed.get(command.pk)) is not None:
            verify_if_reported_since(
                command,
                moves,
                reported=document,
                reported_at=reported_at,
                claimed_at=first,
            )


def _is_met(command: Command, reported: Document) -> bool:
    return command.expectation is not None and is_met(command.expectation, reported)


def _first_claims(commands: Collection[Command]) -> dict[int, datetime]:
    if not commands:
        return {}
    rows = (
        Attempt.objects.filter(command_id__in=[command.pk for command in commands])
        .exclude(outcome__in=NEVER_PUBLISHED)
        .values("command_id")
        .annotate(first=Min("claimed_at"))
        .values_list("command_id", "first")
    )
    return dict(rows)
