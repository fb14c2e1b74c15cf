"""``Authorization: Device <uid>:<secret>``: which device sends the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from iotplatform.common.throttling import PerKeyThrottle
from registry.selectors.credentials import is_secret_of_across_tenants
from registry.selectors.devices import IngestDevice, get_ingest_devices_across_tenants

if TYPE_CHECKING:
    from rest_framework.request import Request

SCHEME = "Device"


@dataclass(frozen=True)
class DeviceCaller:
    """An authenticated device, in the place of a user."""

    device: IngestDevice
    is_authenticated: bool = True

    @property
    def pk(self) -> str:
        """The key under which the throttle counts its requests."""
        return f"device-{self.device.id}"


class DeviceAuthentication(BaseAuthentication):
    """Accepts the secret of a device that may connect, and nothing else."""

    def authenticate(self, request: Request) -> tuple[DeviceCaller, None]:
        """Return the device. Raises AuthenticationFailed, also for a user's token."""
        parts = get_authorization_header(request).split()
        if len(parts) != 2 or parts[0].lower() != SCHEME.lower().encode():
            raise AuthenticationFailed("The header must be: Device <uid>:<secret>.")
        uid, _, secret = parts[1].decode("latin-1").partition(":")
        if is_secret_of_across_tenants(uid, secret):
            device = get_ingest_devices_across_tenants([uid]).get(uid)
            if device is not None:
                return DeviceCaller(device), None
        raise AuthenticationFailed("The device or its secret is not valid.")

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme that a 401 asks for."""
        return SCHEME


class DeviceThrottle(PerKeyThrottle):
    """Limits the requests of one device in a minute."""

    rate_name = "device"
