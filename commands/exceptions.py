"""Refusals of the command plane."""

from iotplatform.common.problems import BadInput, Conflict, NotFound


class CommandRefused(Conflict):
    """The device cannot be given this command now."""


class TransitionRefused(Conflict):
    """The command or job is too far, or not far enough, for this."""


class IdempotencyKeyReused(Conflict):
    """The key was used before, with another request."""


class InvalidCommand(BadInput):
    """The name, the parameters or the policy cannot be used; names the field."""


class InvalidRollout(BadInput):
    """The rollout of a job cannot be used; names the field."""


class CommandNotFound(NotFound):
    """There is no such command for this caller."""


class JobNotFound(NotFound):
    """There is no such job for this caller."""
