"""Columns and constraints of the registry; device messages never change them."""

from registry.models.audit import AuditAction, AuditEntry
from registry.models.catalogue import Batch, HardwareRevision, Product
from registry.models.credentials import Credential
from registry.models.devices import Device, LifecycleMove
from registry.models.enrolment import EnrolmentKey
from registry.models.firmware import (
    FirmwareHardware,
    FirmwareProduct,
    FirmwareRelease,
)
from registry.models.imports import DeviceImport
from registry.models.past import PastDevice
from registry.models.people import ApiToken, Membership, MembershipLimit, User
from registry.models.places import Project, Site, Space, Tenant

__all__ = [
    "ApiToken",
    "AuditAction",
    "AuditEntry",
    "Batch",
    "Credential",
    "Device",
    "DeviceImport",
    "EnrolmentKey",
    "FirmwareHardware",
    "FirmwareProduct",
    "FirmwareRelease",
    "HardwareRevision",
    "LifecycleMove",
    "Membership",
    "MembershipLimit",
    "PastDevice",
    "Product",
    "Project",
    "Site",
    "Space",
    "Tenant",
    "User",
]
