"""Columns and constraints of commands, their definitions and events, and of jobs."""

from commands.models.commands import (
    Attempt,
    Command,
    CommandEvent,
    IdempotencyKey,
    OutcomeToTell,
    RetainedDesired,
)
from commands.models.definitions import CommandDefinition
from commands.models.deliveries import DeliveryMinute
from commands.models.files import DeviceFile, DeviceFilePart
from commands.models.job_health import (
    HeldChange,
    JobHealth,
    JobRollback,
    MemberValues,
)
from commands.models.jobs import (
    FrozenCohort,
    Job,
    JobCount,
    JobEvent,
    JobTarget,
    JobWave,
)

__all__ = [
    "Attempt",
    "Command",
    "CommandDefinition",
    "CommandEvent",
    "DeliveryMinute",
    "DeviceFile",
    "DeviceFilePart",
    "FrozenCohort",
    "HeldChange",
    "IdempotencyKey",
    "Job",
    "JobCount",
    "JobEvent",
    "JobHealth",
    "JobRollback",
    "JobTarget",
    "JobWave",
    "MemberValues",
    "OutcomeToTell",
    "RetainedDesired",
]
