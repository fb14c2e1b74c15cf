"""The allowed moves: from which statuses each status of a command or job is entered."""

from __future__ import annotations

from commands.choices import CommandStatus, FailureClass, JobStatus

S = CommandStatus
UNSENT = frozenset({S.HELD, S.QUEUED})
UNDERWAY = frozenset({S.SENT, S.RECEIVED, S.RUNNING})
OPEN = UNSENT | UNDERWAY | {S.SUCCEEDED}  # those that have not ended
# Set by the platform; a device may correct them if the command was ever sent.
VERDICTS = frozenset({S.TIMED_OUT, S.UNKNOWN, S.EXPIRED, S.CANCELLED, S.SUPERSEDED})
FINAL = frozenset({S.VERIFIED, S.FAILED}) | VERDICTS
# A device's response is accepted from every status that the device has not itself
# ended: another bridge may commit it before the PUBACK, and a late result corrects a
# verdict of ours. A late acknowledgement does not: it is recorded, and the verdict
# stays. "Failed" as unverified is a verdict of ours too: see is_verdict().
SOURCES: dict[CommandStatus, frozenset[CommandStatus]] = {
    S.HELD: frozenset({S.QUEUED, S.SENT, S.RECEIVED, S.RUNNING}),
    # From queued as well: after a failed claim it is due again.
    S.QUEUED: UNSENT | UNDERWAY | VERDICTS,
    S.SENT: frozenset({S.QUEUED}),
    S.RECEIVED: UNSENT | {S.SENT},
    S.RUNNING: UNSENT | {S.SENT, S.RECEIVED},
    S.SUCCEEDED: UNSENT | UNDERWAY | VERDICTS,
    S.VERIFIED: UNSENT | UNDERWAY | VERDICTS | {S.SUCCEEDED},
    S.FAILED: UNSENT | UNDERWAY | VERDICTS | {S.SUCCEEDED},
    S.TIMED_OUT: frozenset({S.QUEUED}) | UNDERWAY,
    S.UNKNOWN: frozenset({S.HELD, S.QUEUED}) | UNDERWAY,
    S.EXPIRED: UNSENT | UNDERWAY,
    S.CANCELLED: UNSENT | {S.SENT},  # once received, only the device can stop it
    S.SUPERSEDED: UNSENT | UNDERWAY | {S.SUCCEEDED},
}

J = JobStatus
# Ended; only the failed members of a completed job may be retried.
JOB_FINAL = frozenset({J.COMPLETED, J.CANCELLED})
# Nothing more happens by itself: a stopped job goes on only if a person resumes it.
JOB_AT_REST = JOB_FINAL | {J.STOPPED}
# While its job has one of these, no adapter can claim a queued command.
JOB_HOLDS_BACK = frozenset({J.PAUSED, J.STOPPED, J.CANCELLED})
JOB_SOURCES: dict[JobStatus, frozenset[JobStatus]] = {
    J.DRAFT: frozenset({J.AWAITING_APPROVAL}),
    J.AWAITING_APPROVAL: frozenset({J.DRAFT, J.SCHEDULED}),  # asked again
    J.SCHEDULED: frozenset({J.DRAFT, J.AWAITING_APPROVAL, J.PAUSED}),
    J.RUNNING: frozenset({J.DRAFT, J.SCHEDULED, J.PAUSED, J.STOPPED, J.COMPLETED}),
    J.PAUSED: frozenset({J.SCHEDULED, J.RUNNING}),
    J.STOPPED: frozenset({J.RUNNING, J.PAUSED}),
    J.COMPLETED: frozenset({J.RUNNING}),
    J.CANCELLED: frozenset(J) - JOB_FINAL,
}


def is_verdict(status: str, failure_class: str) -> bool:
    """Whether the platform, not the device, ended the command."""
    return status in VERDICTS or (
        status == S.FAILED and failure_class == FailureClass.UNVERIFIED
    )


def may_enter(to: CommandStatus, *, status: str, failure_class: str) -> bool:
    """Whether a command with this status may enter ``to``."""
    if status == S.FAILED and is_verdict(status, failure_class):
        # Not verified in time: a late report or a person's retry corrects that. A
        # second result does not: the device has reported its end already.
        return to in (S.VERIFIED, S.QUEUED)
    return status in SOURCES[to]
