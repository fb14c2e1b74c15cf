"""The fixed words of the command plane."""

from __future__ import annotations

from django.db import models


class CommandClass(models.TextChoices):
    """What kind of instruction it is; the class decides how delivery behaves."""

    CONTROL = "control", "control"  # real time: refused unless the device is online
    CONFIG = "config", "configuration"  # waits, and the latest wins
    JOB = "job", "job"  # waits inside the job's window, verified by reported state
    OPERATION = "operation", "operation"  # waits, bounded; done when executed


class CommandStatus(models.TextChoices):
    """How far a command is."""

    HELD = "held", "held"  # waits for the device, or until the time it deferred to
    QUEUED = "queued", "queued"  # due: an adapter may claim it
    SENT = "sent", "sent"  # the broker took it, or a poll handed it out
    RECEIVED = "received", "received"  # the device has it; nothing has run
    RUNNING = "running", "running"  # the device has begun
    SUCCEEDED = "succeeded", "succeeded"  # executed; final unless verification is due
    VERIFIED = "verified", "verified"  # reported state says so too; final
    FAILED = "failed", "failed"  # rejected, ended with an error, or not verified
    TIMED_OUT = "timed_out", "timed out"  # our verdict: no word in time
    UNKNOWN = "unknown", "unknown"  # our verdict: received, and what came of it is dark
    EXPIRED = "expired", "expired"  # our verdict: its time ended before it ended
    CANCELLED = "cancelled", "cancelled"  # our verdict: a person took it back
    SUPERSEDED = "superseded", "superseded"  # our verdict: a newer one took its place


class FailureClass(models.TextChoices):
    """Why a command did not reach what was asked."""

    UNREACHABLE = "unreachable", "unreachable"  # no word, and the device was not there
    NO_ACK = "no_ack", "no acknowledgement"  # sent, and the device never said it has it
    REJECTED = "rejected", "rejected"  # the device will not
    EXECUTION_FAILED = "execution_failed", "execution failed"  # the device could not
    EXECUTION_TIMEOUT = "execution_timeout", "execution timeout"  # received, no result
    UNVERIFIED = "unverified", "unverified"  # done, says the device; its state does not
    ADAPTER_ERROR = "adapter_error", "adapter error"  # no adapter got it out
    EXPIRED = "expired", "expired"  # its time ended first
    UNKNOWN_OUTCOME = "unknown_outcome", "unknown outcome"  # may or may not have run


class OnFailure(models.TextChoices):
    """What a policy answers to a failure class."""

    RETRY_NOW = "retry_now", "retry now"  # at once
    RETRY_LATER = "retry_later", "retry later"  # with back-off and jitter
    ESCALATE = "escalate", "escalate"  # ends, and a person looks at it
    NONE = "none", "nothing"  # ends


class WaitsFor(models.TextChoices):
    """What a held command waits for."""

    NOTHING = "", "nothing"  # it is not held
    DEVICE = "device", "the device"  # released when the device is there again
    TIME = "time", "a time"  # released when the time to which it deferred has come


class AttemptOutcome(models.TextChoices):
    """What became of one try at delivery."""

    CLAIMED = "claimed", "claimed"  # an adapter holds it
    SENT = "sent", "sent"  # the broker took it, or a poll handed it out
    RECEIVED = "received", "received"  # the device answered to it
    NO_ACK = "no_ack", "no acknowledgement"  # the device did not answer in time
    NOT_SENT = "not_sent", "not sent"  # the adapter could not get it out
    LOST = "lost", "lost"  # the adapter's lease ended without a word
    STOPPED = "stopped", "stopped"  # taken back before the publish


class KeyKind(models.TextChoices):
    """What an idempotency key was used for."""

    COMMAND = "command", "command"
    JOB = "job", "job"


class JobStatus(models.TextChoices):
    """How far a job is."""

    DRAFT = "draft", "draft"  # made; waits for somebody to start it
    SCHEDULED = "scheduled", "scheduled"  # begins at its start time
    RUNNING = "running", "running"  # releases waves
    PAUSED = "paused", "paused"  # by a person, or below its success threshold
    STOPPED = "stopped", "stopped"  # above its failure threshold
    COMPLETED = (
        "completed",
        "completed",
    )  # every member has ended; failed ones may retry
    CANCELLED = "cancelled", "cancelled"  # a person ended it; final


class WaveStatus(models.TextChoices):
    """How far a wave is."""

    PENDING = "pending", "pending"  # its turn has not come
    RELEASED = "released", "released"  # its members get their commands
    ENDED = "ended", "ended"  # every member but the trailing ones has ended
