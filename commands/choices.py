"""Enums of the command plane."""

from __future__ import annotations

from django.db import models


class CommandClass(models.TextChoices):
    """The kind of instruction; it decides how delivery behaves."""

    CONTROL = "control", "control"  # real time: refused unless the device is online
    CONFIG = "config", "configuration"  # waits; the latest one wins
    JOB = "job", "job"  # waits until the job's deadline; verified by reported state
    OPERATION = "operation", "operation"  # waits for a limited time; ends when executed


class CommandStatus(models.TextChoices):
    """How far a command has come."""

    HELD = "held", "held"  # waits for the device, or until the time it deferred to
    QUEUED = "queued", "queued"  # due: an adapter may claim it
    SENT = "sent", "sent"  # the broker accepted it, or a poll delivered it
    RECEIVED = "received", "received"  # the device has it; nothing has run
    RUNNING = "running", "running"  # the device has started it
    SUCCEEDED = "succeeded", "succeeded"  # executed; final unless verification is due
    VERIFIED = "verified", "verified"  # the reported state confirms it; final
    FAILED = "failed", "failed"  # rejected, ended with an error, or not verified
    TIMED_OUT = "timed_out", "timed out"  # our verdict: no response in time
    UNKNOWN = "unknown", "unknown"  # our verdict: received, but the result is unknown
    EXPIRED = "expired", "expired"  # our verdict: it expired before it ended
    CANCELLED = "cancelled", "cancelled"  # our verdict: a person cancelled it
    SUPERSEDED = "superseded", "superseded"  # our verdict: a newer one replaced it


class FailureClass(models.TextChoices):
    """Why a command failed."""

    UNREACHABLE = "unreachable", "unreachable"  # no response, and the device is offline
    # Its gateway is not online: nothing can reach it.
    GATEWAY_UNREACHABLE = "gateway_unreachable", "gateway not reachable"
    NO_ACK = "no_ack", "no acknowledgement"  # sent, but the device did not acknowledge
    REJECTED = "rejected", "rejected"  # the device refused it
    EXECUTION_FAILED = "execution_failed", "execution failed"  # it ran and failed
    EXECUTION_TIMEOUT = "execution_timeout", "execution timeout"  # received, no result
    UNVERIFIED = "unverified", "unverified"  # executed; reported state does not confirm
    ADAPTER_ERROR = "adapter_error", "adapter error"  # no adapter could send it
    EXPIRED = "expired", "expired"  # it expired first
    UNKNOWN_OUTCOME = "unknown_outcome", "unknown outcome"  # may or may not have run


class OnFailure(models.TextChoices):
    """What a policy does after a failure class."""

    RETRY_NOW = "retry_now", "retry now"  # at once
    RETRY_LATER = "retry_later", "retry later"  # with back-off and jitter
    ESCALATE = "escalate", "escalate"  # ends, and a person must look at it
    NONE = "none", "nothing"  # ends


class RuleSource(models.TextChoices):
    """Who wrote the row of a policy that chose what follows a failure."""

    REACTION = "reaction", "the definition's reaction"  # to the device's error code
    REQUEST = "request", "the request's policy"  # of a command or of its job
    DEFINITION = "definition", "the definition's policy"  # nobody asked otherwise


class Danger(models.TextChoices):
    """What a person must do in the console before a command is sent."""

    NONE = "none", "none"  # nothing more
    CONFIRM = "confirm", "confirm"  # say that they mean it
    TYPE_COUNT = "type_count", "type the number of devices"  # so that they see it


class Lane(models.IntegerChoices):
    """Which queued commands are sent first: the lower lane."""

    CONTROL = 0, "control"  # real time, of a person
    PERSON = 1, "person"  # any other that a person or script asked for
    RETRY = 2, "retry"  # sent before, without success
    JOB = 3, "job"  # handed out by a job
    # A person retried it: it is sent although its job is paused or stopped.
    BY_HAND = 4, "by hand"


class WaitsFor(models.TextChoices):
    """What a held command waits for."""

    NOTHING = "", "nothing"  # it is not held
    DEVICE = "device", "the device"  # released when the device is online again
    TIME = "time", "a time"  # released at the time that the device deferred it to
    GATEWAY = "gateway", "its gateway"  # released when it is back, or there is room
    APPROVAL = "approval", "an approval"  # released when a second person approves it


class AttemptOutcome(models.TextChoices):
    """The outcome of one attempt at delivery."""

    CLAIMED = "claimed", "claimed"  # an adapter is sending it
    SENT = "sent", "sent"  # the broker accepted it, or a poll delivered it
    RECEIVED = "received", "received"  # the device answered
    NO_ACK = "no_ack", "no acknowledgement"  # the device did not answer in time
    NOT_SENT = "not_sent", "not sent"  # the adapter could not send it
    LOST = "lost", "lost"  # the adapter's lease ended without a report
    INTERRUPTED = "interrupted", "interrupted"  # nothing else got through either
    STOPPED = "stopped", "stopped"  # cancelled or paused before the publish


class KeyKind(models.TextChoices):
    """What an idempotency key was used for."""

    COMMAND = "command", "command"
    JOB = "job", "job"


class JobStatus(models.TextChoices):
    """How far a job has come."""

    DRAFT = "draft", "draft"  # created; waits for a person to start it
    # Its command or its rollout needs the approval of a second person.
    AWAITING_APPROVAL = "awaiting_approval", "awaiting approval"
    SCHEDULED = "scheduled", "scheduled"  # starts at its start time
    RUNNING = "running", "running"  # releases waves
    PAUSED = "paused", "paused"  # by a person, or below its success threshold
    STOPPED = "stopped", "stopped"  # above its failure threshold
    COMPLETED = "completed", "completed"  # all members ended; failed ones may retry
    CANCELLED = "cancelled", "cancelled"  # a person ended it; final


class WaveStatus(models.TextChoices):
    """How far a wave has come."""

    PENDING = "pending", "pending"  # waits for earlier waves
    RELEASED = "released", "released"  # its members get their commands
    ENDED = "ended", "ended"  # every member has ended, except offline ones


class HeldKind(models.TextChoices):
    """What kind of change a stopped job has marked."""

    FIRMWARE = "firmware", "firmware"  # a version, for the products of its members
    CONFIG = "config", "configuration"  # a merge patch, byte for byte
