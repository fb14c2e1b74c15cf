"""The registry: what a device is, who owns it, where it belongs."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Configuration of the registry app."""

    name = "registry"

    def ready(self) -> None:
        """Tell drf-spectacular of our authentication."""
        from registry.api import openapi  # noqa: F401
