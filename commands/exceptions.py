"""Refusals of the command plane."""

from iotplatform.common.problems import BadInput, Conflict, NotFound, TooLarge, TooMany


class CommandRefused(Conflict):
    """The device cannot get this command now."""


class TooManyPending(TooMany):
    """The device has as many commands without an end as it may have."""


class TransitionRefused(Conflict):
    """The status of the command or job does not allow this."""


class IdempotencyKeyReused(Conflict):
    """The key was used before, with another request."""


class InvalidCommand(BadInput):
    """The name, the parameters or the policy are not valid; names the field."""


class InvalidRollout(BadInput):
    """The rollout of a job is not valid; names the field."""


class NoSuchDefinition(NotFound):
    """The caller can see no such command definition."""


class DefinitionRefused(Conflict):
    """The name is taken, or it is built in: nobody changes those."""


class CommandNotFound(NotFound):
    """The caller can see no such command."""


class JobNotFound(NotFound):
    """The caller can see no such job."""


class FileNotFound(NotFound):
    """The caller can see no such file."""


class FileTooLong(TooLarge):
    """The device uploads more bytes than a file may have."""


class FileMoved(Conflict):
    """The part does not begin where the file ends."""


class RollbackRefused(TransitionRefused):
    """The job has changed nothing that can be restored, or was rolled back before."""


class ChangeHeld(TransitionRefused):
    """A stopped job has marked this release or patch: no other job may send it."""


class NothingHeld(TransitionRefused):
    """The job has marked nothing, or that was lifted."""
