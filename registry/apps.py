"""The registry: what a device is, who owns it, where it belongs."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
