"""The delivery track of a command: four segments, and a label."""

from __future__ import annotations

from dataclasses import dataclass

from commands.choices import CommandStatus, FailureClass

S = CommandStatus
F = FailureClass

STEPS_BY_STATUS: dict[str, int] = {
    S.HELD: 0,
    S.QUEUED: 0,
    S.SENT: 1,
    S.RECEIVED: 2,
    S.RUNNING: 2,
    S.SUCCEEDED: 3,
    S.VERIFIED: 4,
}
# The step that did not happen, by failure class, counted from 1.
FAILED_STEP: dict[str, int] = {
    F.UNREACHABLE: 2,
    F.GATEWAY_UNREACHABLE: 1,
    F.NO_ACK: 2,
    F.REJECTED: 2,
    F.EXECUTION_FAILED: 3,
    F.EXECUTION_TIMEOUT: 3,
    F.UNVERIFIED: 4,
    F.ADAPTER_ERROR: 1,
    F.UNKNOWN_OUTCOME: 3,
}
STATUS_LABELS: dict[str, str] = {
    S.HELD: "waiting for the device",
    S.QUEUED: "queued",
    S.SENT: "published, no answer yet",
    S.RECEIVED: "received, no result yet",
    S.RUNNING: "running",
    S.SUCCEEDED: "executed",
    S.VERIFIED: "verified",
    S.TIMED_OUT: "timed out",
    S.UNKNOWN: "outcome unknown",
    S.EXPIRED: "expired",
    S.CANCELLED: "cancelled",
    S.SUPERSEDED: "replaced by a newer command",
}
FAILURE_LABELS: dict[str, str] = {
    F.UNREACHABLE: "device not reachable",
    F.GATEWAY_UNREACHABLE: "gateway not reachable",
    F.NO_ACK: "no acknowledgement",
    F.REJECTED: "rejected",
    F.EXECUTION_FAILED: "failed on the device",
    F.EXECUTION_TIMEOUT: "received, no result in time",
    F.UNVERIFIED: "not verified in time",
    F.ADAPTER_ERROR: "could not be published",
    F.EXPIRED: "expired",
    F.UNKNOWN_OUTCOME: "outcome unknown",
}
# For narrow columns.
SHORT_LABELS: dict[str, str] = {
    S.HELD: "waiting",
    S.SENT: "published",
    S.RECEIVED: "received",
    S.UNKNOWN: "unknown",
    S.SUPERSEDED: "replaced",
    F.UNREACHABLE: "not reachable",
    F.GATEWAY_UNREACHABLE: "no gateway",
    F.NO_ACK: "no answer",
    F.EXECUTION_FAILED: "failed",
    F.EXECUTION_TIMEOUT: "no result",
    F.UNVERIFIED: "not verified",
    F.ADAPTER_ERROR: "not published",
    F.UNKNOWN_OUTCOME: "unknown",
}
# For entries of a history; track_of gives the current state.
EVENT_LABELS: dict[str, str] = {
    S.HELD: "held",
    S.QUEUED: "queued",
    S.SENT: "published",
    S.RECEIVED: "received",
    S.RUNNING: "started",
    S.SUCCEEDED: "executed",
    S.VERIFIED: "verified",
    S.FAILED: "failed",
    S.TIMED_OUT: "timed out",
    S.UNKNOWN: "outcome unknown",
    S.EXPIRED: "expired",
    S.CANCELLED: "cancelled",
    S.SUPERSEDED: "replaced",
}


def short_label(status: str, failure_class: str = "") -> str:
    code = failure_class or status
    return (
        SHORT_LABELS.get(code)
        or FAILURE_LABELS.get(code)
        or STATUS_LABELS.get(code, code)
    )


@dataclass(frozen=True)
class Track:
    """The CSS classes of the four segments, and the label."""

    segments: tuple[str, str, str, str]
    label: str


def track_of(status: str, failure_class: str = "", *, reached: int = 0) -> Track:
    """Return the track of a command; ``reached`` is the last step with a time."""
    label = FAILURE_LABELS.get(failure_class) or STATUS_LABELS.get(status, status)
    if status == S.VERIFIED:
        return Track(("d4", "d4", "d4", "d4"), label)
    if status in STEPS_BY_STATUS:
        return Track(_filled(STEPS_BY_STATUS[status], at_fault=0, fault=""), label)
    fault = "unknown" if S.UNKNOWN in (status, failure_class) else "fail"
    if failure_class == F.UNKNOWN_OUTCOME:
        fault = "unknown"
    if status in (S.CANCELLED, S.SUPERSEDED):
        return Track(_filled(reached, at_fault=0, fault=""), label)
    step = FAILED_STEP.get(failure_class, min(reached + 1, 4))
    return Track(_filled(max(reached, step - 1), at_fault=step, fault=fault), label)


def steps_done(
    *, sent: object, received: object, succeeded: object, verified: object
) -> int:
    """Return the number of the last step that has a time, 0 to 4."""
    for step, time in ((4, verified), (3, succeeded), (2, received), (1, sent)):
        if time is not None:
            return step
    return 0


def _filled(reached: int, *, at_fault: int, fault: str) -> tuple[str, str, str, str]:
    names = [f"d{step}" if step <= reached else "" for step in (1, 2, 3, 4)]
    if at_fault:
        names[at_fault - 1 :] = [fault, *[""] * (4 - at_fault)]
    return names[0], names[1], names[2], names[3]
