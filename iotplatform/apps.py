"""The project package, installed for its management commands and checks."""

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    """Configuration of the iotplatform app."""

    name = "iotplatform"

    def ready(self) -> None:
        """Register the checks of settings."""
        from iotplatform import checks  # noqa: F401
