"""Links for devices that carry their right in themselves: signed, and for a time.

A device downloads firmware and uploads files without its credential, so that a plain
client (curl, a boot loader) can do it. A link names one object and a kind of use.
"""

from __future__ import annotations

import math
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer

from iotplatform.common.problems import Forbidden, Problem

UPLOAD, FIRMWARE = "upload", "firmware"


class LinkExpired(Problem):
    """The link was right, but its time is over."""

    status = 410


def make_link(kind: str, public_id: UUID, *, expires_at: datetime) -> str:
    """Return an absolute link; the same object and time give the same one."""
    token = _signer(kind).sign(f"{public_id}.{math.ceil(expires_at.timestamp())}")
    return f"{settings.DEVICE_HTTP_URL.rstrip('/')}/device/v1/{kind}/{token}/"


def read_link(kind: str, token: str, *, now: datetime) -> UUID:
    """Return what a link names. Raises Forbidden, and LinkExpired after its time."""
    try:
        name, _, seconds = _signer(kind).unsign(token).partition(".")
        public_id, ends = UUID(name), int(seconds)
    except (BadSignature, ValueError):
        raise Forbidden("The signature of this link is not valid.") from None
    if now.timestamp() >= ends:
        raise LinkExpired("This link has expired.")
    return public_id


def _signer(kind: str) -> Signer:
    return Signer(salt=f"iotplatform.device.{kind}", sep="~")
