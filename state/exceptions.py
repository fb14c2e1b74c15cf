"""Refusals of state."""

from iotplatform.common.problems import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
)


class DesiredVersionMoved(PreconditionFailed):
    """Somebody changed the desired document after the caller read it."""

    def __init__(self, *, current: int) -> None:
        super().__init__(
            f"The desired document is at version {current} now.",
            desired_version=current,
        )


class DesiredRefused(BadInput):
    """The patch is no JSON object, or the document would be too large for a device."""


class AlarmNotFound(NotFound):
    """The alarm does not exist, or the caller may not see it."""


class AlarmIsCleared(Conflict):
    """A cleared alarm cannot be acknowledged."""


class MetricHistoryRefused(BadInput):
    """The time range is empty, or too long for its step."""


class WindowNotFound(NotFound):
    """The window does not exist, or the caller may not see it."""


class WindowBeyondAccess(Forbidden):
    """The caller may not access all devices and sites of the window."""


class WindowRefused(BadInput):
    """The window names no places or unknown ones, or ends before it begins."""


class RuleNotFound(NotFound):
    """The rule does not exist, or the caller may not see it."""


class RuleRefused(BadInput):
    """The product already has a rule with this code."""


class LetterNotFound(NotFound):
    """The rejected message does not exist, or the caller may not see it."""
