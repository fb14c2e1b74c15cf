"""What an adapter's report does to a command that it claimed: pure, row by row.

``sent_marks`` does the same by one statement for those that wait for nothing else.
"""

from __future__ import annotations

from commands.choices import CommandStatus
from commands.models import Command
from commands.services import retry_policy
from commands.services.deliverability import AWAY
from commands.services.transitions import Moves, seconds

S = CommandStatus


def apply_publish(command: Command, moves: Moves, *, away: str | None) -> None:
    """Record that the broker accepted a claimed command.

    ``away`` is the connectivity of the device of a configuration, which the broker
    retains for it.
    """
    command.sent_at = command.sent_at or moves.now
    moves.touch(command)
    # A response of the device may have come first, and moved it further already.
    if command.status != S.QUEUED:
        return
    receive_by = moves.now + seconds(command, "receive_timeout")
    moves.move(
        command,
        S.SENT,
        cause=f"sent, attempt {command.attempt_count}",
        # Without an acknowledgement it ends when it expires, whatever the policy.
        due_at=min(receive_by, command.expires_at),
    )
    command.claimed_until = None
    if away in AWAY:
        cause = "retained for the device"
        retry_policy.wait_for_device(command, moves, cause=cause, away=away)


def apply_release(command: Command, moves: Moves) -> None:
    """Give back a claim that was not published; it counts as no attempt."""
    command.claim_token, command.claimed_until = None, None
    command.uncounted_attempts += 1
    moves.touch(command)
    if command.status == S.QUEUED:
        command.due_at = moves.now
        moves.note(command, "released before the publish")
