"""A device that uses HTTP, for tests: its credential, its messages, its polls."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from rest_framework.test import APIClient

from registry.models import Device
from registry.services.credentials import issue_credential
from tests.factories import DeviceFactory


@dataclass
class HttpUnit:
    """A registered device with a secret."""

    device: Device
    client: APIClient = field(default_factory=APIClient)

    def __post_init__(self) -> None:
        secret = issue_credential(self.device).secret
        self.client.credentials(HTTP_AUTHORIZATION=f"Device {self.device.uid}:{secret}")

    def post(self, path: str, body: Any) -> Any:
        """POST a document as JSON, or bytes unchanged."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"/device/v1/{path}/"
        return self.client.post(url, data, content_type="application/json")

    def say(self, path: str, body: Any) -> dict[str, Any]:
        """POST a message that must be accepted; return the answer."""
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.json()
        found: dict[str, Any] = answer.json()
        return found

    def poll(self, **query: Any) -> dict[str, Any]:
        answer = self.client.get("/device/v1/commands/", query)
        assert answer.status_code == 200, answer.json()
        found: dict[str, Any] = answer.json()
        return found


def http_unit(**fields: Any) -> HttpUnit:
    """Return an active device with the adapter http and a secret."""
    return HttpUnit(DeviceFactory.create(**{"adapter": "http"} | fields))
