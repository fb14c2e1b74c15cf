"""What condition a device is in, and why we think so."""

from django.apps import AppConfig


class StateConfig(AppConfig):
    """Configuration of the state app."""

    name = "state"
