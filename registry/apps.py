"""The registry: what a device is, who owns it, where it belongs."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"

    def ready(self) -> None:
        """Register our authentication with drf-spectacular."""
        from registry.api import openapi  # noqa: F401
