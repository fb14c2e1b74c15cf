"""Django admin of commands, their definitions and jobs, and of devices."""

from commands.admin import commands, definitions, devices

__all__ = ["commands", "definitions", "devices"]
