"""Applying a device's responses to a command: acknowledgement, progress, result."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from commands.choices import (
    CommandClass,
    CommandStatus,
    FailureClass,
    WaitsFor,
)
from commands.lifecycle import UNSENT, is_verdict
from commands.models import Command
from commands.services import retry_policy
from commands.services.transitions import DEVICE, Moves, seconds

S = CommandStatus
NOT_YET_RUNNING = UNSENT | {S.SENT, S.RECEIVED}
# A command that the device defers without a time is sent again after this.
DEFERRED_FOR = timedelta(minutes=1)


def apply_acknowledgement(
    command: Command,
    moves: Moves,
    *,
    status: str,
    reason: str,
    until: datetime | None,
    at: datetime,
) -> None:
    """Apply ``received``, ``accepted``, ``rejected`` or ``deferred``."""
    if status == "rejected":
        _reject(command, moves, reason=reason, at=at)
    elif is_verdict(command.status, command.failure_class):
        _record_late_acknowledgement(command, moves, status=status, at=at)
    elif status == "deferred":
        _defer(command, moves, reason=reason, until=until, at=at)
    elif command.status in UNSENT or command.status == S.SENT:
        command.received_at = command.received_at or at
        moves.move(
            command,
            S.RECEIVED,
            cause=f"the device acknowledged: {status}",
            actor=DEVICE,
            due_at=moves.now + seconds(command, "execute_timeout"),
        )
    elif command.received_at is None:
        command.received_at = at
        moves.touch(command)


def apply_progress(
    command: Command, moves: Moves, *, payload: dict[str, Any], at: datetime
) -> None:
    """Apply a progress message: the device is running it; keep the newest payload."""
    if is_verdict(command.status, command.failure_class):
        _record_late_acknowledgement(command, moves, status="progress", at=at)
        return
    if command.status in NOT_YET_RUNNING:
        command.running_at = command.running_at or at
        moves.move(
            command,
            S.RUNNING,
            cause=f"the device has started it{_inferred(command)}",
            actor=DEVICE,
            due_at=moves.now + seconds(command, "execute_timeout"),
        )
    if command.status == S.RUNNING and payload:
        command.result = {"progress": payload}
        moves.touch(command)


def apply_result(
    command: Command,
    moves: Moves,
    *,
    status: str,
    code: str | int | None,
    payload: Any,
    at: datetime,
) -> None:
    """Apply ``succeeded`` or ``failed``; a second result changes nothing."""
    result = {"status": status, "code": code, "payload": payload}
    if status == "failed":
        if command.status == S.SUCCEEDED:
            return  # the device has reported its end already
        said = "the device failed" + (f": {code}" if code is not None else "")
        failure = FailureClass.EXECUTION_FAILED
        _fail(command, moves, failure, said + _inferred(command), result=result)
        return
    cause = f"the device executed it{_inferred(command)}"
    moved = moves.move(
        command,
        S.SUCCEEDED,
        cause=cause,
        actor=DEVICE,
        due_at=moves.now + seconds(command, "verify_timeout"),
    )
    if not moved:
        # The device reported the new state before its result: the result is kept.
        if command.status != S.VERIFIED or command.succeeded_at is not None:
            return
        moves.note(command, cause, actor=DEVICE)
    command.succeeded_at = command.succeeded_at or at
    command.result = result


def release_at_birth(command: Command, moves: Moves) -> bool:
    """Queue a command that waited for its device, or for the gateway, to come online.

    A gateway that relays a child's birth is back.
    """
    is_behind = command.failure_class == FailureClass.GATEWAY_UNREACHABLE
    waits = command.waits_for == WaitsFor.DEVICE or is_behind
    if command.status != S.HELD or not waits:
        return False
    return moves.move(
        command, S.QUEUED, cause="the device is online again", due_at=moves.now
    )


def _reject(command: Command, moves: Moves, *, reason: str, at: datetime) -> None:
    if command.status in (S.RUNNING, S.SUCCEEDED):
        return  # it has started: the device rejects only a repeat of it
    said = "the device rejected it" + (f": {reason}" if reason else "")
    result = {"status": "rejected", "reason": reason}
    if _fail(command, moves, FailureClass.REJECTED, said, result=result):
        command.received_at = command.received_at or at


def _fail(
    command: Command,
    moves: Moves,
    failure: FailureClass,
    said: str,
    *,
    result: dict[str, Any],
) -> bool:
    """End it as the device said, and do next what its reactions and policy say."""
    rule = retry_policy.rule_for(command, failure, result.get("code"))
    moved = moves.move(
        command,
        S.FAILED,
        cause=f"{said}; {retry_policy.outcome_text(command, rule)}",
        actor=DEVICE,
        failure_class=failure,
        detail=rule.detail,
    )
    if moved:
        command.result = result
        retry_policy.follow_device_failure(command, moves, rule)
    return moved


def _defer(
    command: Command,
    moves: Moves,
    *,
    reason: str,
    until: datetime | None,
    at: datetime,
) -> None:
    if command.status not in NOT_YET_RUNNING or command.status == S.HELD:
        return
    if command.status == S.RECEIVED and not command.is_repeatable:
        return  # the late answer to an earlier attempt: it is never sent again
    wanted = until or moves.now + DEFERRED_FOR
    if command.command_class == CommandClass.CONTROL:
        wanted = min(wanted, command.expires_at)
    command.received_at = command.received_at or at
    # A deferred attempt is not a failed one.
    command.uncounted_attempts += 1
    moves.move(
        command,
        S.HELD,
        cause=f"the device deferred it until {wanted:%F %T} UTC"
        + (f": {reason}" if reason else ""),
        actor=DEVICE,
        due_at=min(wanted, command.expires_at),
        waits_for=WaitsFor.TIME,
    )


def _record_late_acknowledgement(
    command: Command, moves: Moves, *, status: str, at: datetime
) -> None:
    step = "running_at" if status == "progress" else "received_at"
    if getattr(command, step) is not None:
        return  # recorded already; repeats add nothing
    setattr(command, step, at)
    moves.note(command, f"late acknowledgement: {status}", actor=DEVICE)


def _inferred(command: Command) -> str:
    """Return the remark for a response to a command that was not acknowledged."""
    return "" if command.received_at is not None else "; its receipt is inferred"
