"""What a command that is due does next: pure, so that a simulation can run it.

Everything that a decision needs from other tables comes with :class:`Circumstances`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from commands.choices import CommandClass, CommandStatus, FailureClass, WaitsFor
from commands.models import Command
from commands.services import retry_policy
from commands.services.deliverability import AWAY
from commands.services.transitions import Moves
from state.selectors import GATEWAY_AWAY, Sleep

S, F = CommandStatus, FailureClass

_UNTIL = {
    WaitsFor.NOTHING: "it was released",
    WaitsFor.DEVICE: "the device came online",
    WaitsFor.TIME: "the time that the device deferred it to",
    WaitsFor.GATEWAY: "its gateway could take it",
    WaitsFor.APPROVAL: "a second person approved it",
}
_UNREACHABLE = {GATEWAY_AWAY: F.GATEWAY_UNREACHABLE}


@dataclass(frozen=True)
class Circumstances:
    """What the decisions about a batch need from other tables, read once."""

    # By the command's key: how often in a row an adapter has lost it.
    losses: Mapping[int, int] = field(default_factory=dict)
    # By the device's key, for commands without an acknowledgement.
    connectivity: Mapping[int, str] = field(default_factory=dict)
    # By the command's key: the sleep of a device whose command may wait for it.
    sleeps: Mapping[int, Sleep] = field(default_factory=dict)
    # Commands that a newer configuration has replaced.
    outdated: Collection[int] = frozenset()


def may_wait_for_sleeper(command: Command) -> bool:
    """Whether the clock of a command stops while its device sleeps.

    A real-time command was meant for that moment: its clock never stops. One that waits
    for a person does not wait for the device yet.
    """
    return (
        command.command_class != CommandClass.CONTROL
        and command.waits_for != WaitsFor.APPROVAL
    )


def decide(command: Command, moves: Moves, context: Circumstances) -> None:
    """Move one command that is due, or let it wait while its device sleeps."""
    sleep = context.sleeps.get(command.pk)
    if sleep is not None and command.status != S.QUEUED:
        _let_sleep(command, moves, sleep)
        return
    moves.start_clock(command)
    _DECISIONS[CommandStatus(command.status)](command, moves, context)


def expire_in_queue(command: Command, moves: Moves, *, is_asleep: bool) -> None:
    """End a command that no adapter claimed in time, unless its device sleeps."""
    if is_asleep:
        retry_policy.wait_for_device(command, moves, cause="it sleeps")
        return
    retry_policy.end(command, moves, F.EXPIRED, cause="it expired in the queue")


def _let_sleep(command: Command, moves: Moves, sleep: Sleep) -> None:
    if command.status == S.SENT:
        retry_policy.wait_for_device(command, moves, cause="no acknowledgement, asleep")
    elif command.status == S.HELD:
        command.waits_for = WaitsFor.DEVICE
    moves.stop_clock(command, sleep)


def _held(command: Command, moves: Moves, context: Circumstances) -> None:
    if command.expires_at <= moves.now:
        cause = f"it expired before {_UNTIL[WaitsFor(command.waits_for)]}"
        failure = F(command.failure_class or F.EXPIRED)
        retry_policy.end(command, moves, failure, cause=cause, to=S.EXPIRED)
        return
    if command.waits_for == WaitsFor.DEVICE:
        # It slept, and was not heard when it should have woken.
        command.due_at = command.expires_at
        moves.touch(command)
        return
    cause = "the time that it waited for has come"
    moves.move(command, S.QUEUED, cause=cause, due_at=moves.now)


def _lost_lease(command: Command, moves: Moves, context: Circumstances) -> None:
    retry_policy.retry_after_loss(
        command,
        moves,
        cause="the adapter's lease ended without a report",
        losses=context.losses.get(command.pk, 0),
    )


def _no_ack(command: Command, moves: Moves, context: Circumstances) -> None:
    if command.expires_at <= moves.now:
        cause = "it expired before the device acknowledged it"
        retry_policy.end(command, moves, F.EXPIRED, cause=cause)
        return
    connectivity = context.connectivity.get(command.device_id, "offline")
    away = connectivity in AWAY
    waits = away and command.command_class != CommandClass.CONTROL
    if waits:
        cause = "no acknowledgement"
        retry_policy.wait_for_device(command, moves, cause=cause, away=connectivity)
        return
    # The device may have acknowledged an earlier attempt of the same command.
    unanswered = (
        F.EXECUTION_TIMEOUT
        if command.is_answered and command.is_repeatable
        else F.NO_ACK
    )
    retry_policy.retry_or_end(
        command,
        moves,
        _UNREACHABLE.get(connectivity, F.UNREACHABLE) if away else unanswered,
        cause="no acknowledgement, and the device is offline"
        if away
        else "no acknowledgement in time",
    )


def _no_result(command: Command, moves: Moves, context: Circumstances) -> None:
    if not command.is_repeatable:
        retry_policy.end(
            command,
            moves,
            F.UNKNOWN_OUTCOME,
            cause="the device received it, but reported no result",
        )
        return
    retry_policy.retry_or_end(
        command, moves, F.EXECUTION_TIMEOUT, cause="no result in time"
    )


def _not_verified(command: Command, moves: Moves, context: Circumstances) -> None:
    # A late result may have reopened a superseded command; a newer configuration may
    # have changed the same keys since.
    if command.pk in context.outdated:
        cause = "a newer configuration has replaced it"
        moves.move(command, S.SUPERSEDED, cause=cause)
        return
    retry_policy.end(
        command, moves, F.UNVERIFIED, cause="the reported state does not confirm it"
    )


_DECISIONS: dict[CommandStatus, Callable[[Command, Moves, Circumstances], None]] = {
    S.HELD: _held,
    S.QUEUED: _lost_lease,
    S.SENT: _no_ack,
    S.RECEIVED: _no_result,
    S.RUNNING: _no_result,
    S.SUCCEEDED: _not_verified,
}
