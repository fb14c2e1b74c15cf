"""Django admin of the registry, by noun; every write goes through a service."""

from registry.admin import devices, people, places

__all__ = ["devices", "people", "places"]
