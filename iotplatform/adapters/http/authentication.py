"""``Authorization: Device <uid>:<secret>``: which device asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from iotplatform.common.throttling import PerKeyThrottle
from registry.selectors.credentials import is_secret_of_across_tenants
from registry.selectors.devices import IngestDevice, ingest_devices_across_tenants

if TYPE_CHECKING:
    from rest_framework.request import Request

SCHEME = "Device"


@dataclass(frozen=True)
class DeviceCaller:
    """A device that has proved who it is, in the place of a person."""

    device: IngestDevice
    is_authenticated: bool = True

    @property
    def pk(self) -> str:
        """Return what its requests are counted by."""
        return f"device-{self.device.id}"


class DeviceAuthentication(BaseAuthentication):
    """Takes a valid secret of a device that may connect, and nothing else."""

    def authenticate(self, request: Request) -> tuple[DeviceCaller, None]:
        """Return the device. A user's token is no way in, nor is none at all."""
        words = get_authorization_header(request).split()
        if len(words) != 2 or words[0].lower() != SCHEME.lower().encode():
            raise AuthenticationFailed("The header must read: Device <uid>:<secret>.")
        uid, _, secret = words[1].decode("latin-1").partition(":")
        if is_secret_of_across_tenants(uid, secret):
            device = ingest_devices_across_tenants([uid]).get(uid)
            if device is not None:
                return DeviceCaller(device), None
        raise AuthenticationFailed("The device or its secret is not valid.")

    def authenticate_header(self, request: Request) -> str:
        """Say in a 401 what we take."""
        return SCHEME


class DeviceThrottle(PerKeyThrottle):
    """Requests a minute of one device."""

    rate_name = "device"
