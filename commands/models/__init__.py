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
from commands.models.jobs import FrozenCohort, Job, JobEvent, JobTarget, JobWave

__all__ = [
    "Attempt",
    "Command",
    "CommandDefinition",
    "CommandEvent",
    "DeliveryMinute",
    "DeviceFile",
    "DeviceFilePart",
    "FrozenCohort",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "JobTarget",
    "JobWave",
    "OutcomeToTell",
    "RetainedDesired",
]
