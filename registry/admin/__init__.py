"""Django admin of the registry, by noun; every write goes through a service."""

from registry.admin import devices, enrolment, people, places

__all__ = ["devices", "enrolment", "people", "places"]
