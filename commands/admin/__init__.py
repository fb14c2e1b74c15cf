"""Django admin of commands and jobs, and of devices with what hangs on them."""

from commands.admin import commands, devices

__all__ = ["commands", "devices"]
