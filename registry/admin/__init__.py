"""Django admin of the registry, by noun; every write goes through a service."""

from registry.admin import (
    audit,
    catalogue,
    connections,
    devices,
    enrolment,
    firmware,
    imports,
    people,
    places,
    sign_ins,
)

__all__ = [
    "audit",
    "catalogue",
    "connections",
    "devices",
    "enrolment",
    "firmware",
    "imports",
    "people",
    "places",
    "sign_ins",
]
