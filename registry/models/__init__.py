"""Columns and constraints of the registry; nothing here changes by a message."""

from registry.models.audit import AuditAction, AuditEntry
from registry.models.catalogue import Product
from registry.models.credentials import Credential
from registry.models.devices import Device, LifecycleMove
from registry.models.enrolment import EnrolmentKey
from registry.models.people import ApiToken, Membership, MembershipLimit, User
from registry.models.places import Project, Site, Tenant

__all__ = [
    "ApiToken",
    "AuditAction",
    "AuditEntry",
    "Credential",
    "Device",
    "EnrolmentKey",
    "LifecycleMove",
    "Membership",
    "MembershipLimit",
    "Product",
    "Project",
    "Site",
    "Tenant",
    "User",
]
