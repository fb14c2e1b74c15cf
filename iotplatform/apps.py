"""The project package, installed for its management commands."""

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    """Configuration of the iotplatform app."""

    name = "iotplatform"
