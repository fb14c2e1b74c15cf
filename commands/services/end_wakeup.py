"""The NOTIFY that wakes requests which wait for the end of a command or job."""

from iotplatform.common.notify import notify

ENDED = "commands_ended"


def wake_end_waiters() -> None:
    """Wake the waiting requests with the commit: one NOTIFY a batch."""
    notify(ENDED)
