"""The NOTIFY that wakes the adapters when commands are due."""

from iotplatform.common.notify import notify

COMMANDS_DUE = "commands_due"


def wake_adapters() -> None:
    """Wake the adapters with the commit: one NOTIFY a batch."""
    notify(COMMANDS_DUE)
