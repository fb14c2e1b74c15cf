"""Enrolment keys and enrolling devices for tests."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address
from secrets import randbits
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import EnrolmentKey, Product, Site
from registry.services.enrolment import create_enrolment_key

KEYS = "/api/v1/enrolment-keys/"


def make_key(site: Site, product: Product, **more: Any) -> tuple[EnrolmentKey, str]:
    end = timezone.now() + timedelta(days=1)
    wanted: dict[str, Any] = {"max_devices": 5, "expires_at": end, **more}
    return create_enrolment_key(
        tenant=site.tenant, site=site, product=product, **wanted
    )


def enrol(key: str, **fields: Any) -> Any:
    """Send what an enrolling device sends: it has a key and no account."""
    body = {"key": key, **fields}
    # Each from its own address: one address may not enrol so many in a minute.
    client = APIClient(REMOTE_ADDR=str(IPv4Address(randbits(24) | 10 << 24)))
    return client.post("/api/v1/enrol/", body, format="json")


def order(**more: Any) -> dict[str, Any]:
    end = timezone.now() + timedelta(days=30)
    wanted = {"product": "sensor-s1", "site": "shanghai-01", "max_devices": 3}
    return wanted | {"expires_at": end.isoformat()} | more


def used(key: EnrolmentKey) -> int:
    key.refresh_from_db()
    return key.used_count
