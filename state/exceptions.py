"""Refusals of state."""

from iotplatform.common.problems import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
)


class DesiredVersionMoved(PreconditionFailed):
    """Somebody changed the desired document since the caller read it."""

    def __init__(self, *, current: int) -> None:
        super().__init__(
            f"The desired document is at version {current} by now.",
            desired_version=current,
        )


class DesiredRefused(BadInput):
    """The desired document would not be one that a device can take."""


class AlarmNotFound(NotFound):
    """There is no such alarm for this caller."""


class AlarmIsCleared(Conflict):
    """A cleared alarm cannot be acknowledged any more."""


class CourseRefused(BadInput):
    """The range that was asked for is none, or too long for its step."""


class WindowNotFound(NotFound):
    """There is no such maintenance window for this caller."""


class WindowBeyondReach(Forbidden):
    """Part of the window is beyond the caller's limit."""


class WindowRefused(BadInput):
    """The window is of nothing, of too much, or ends before it begins."""


class RuleNotFound(NotFound):
    """There is no such alarm rule for this caller."""


class RuleRefused(BadInput):
    """The product has a rule with this code already."""


class LetterNotFound(NotFound):
    """There is no such dead letter for this caller, or it is gone by now."""
