"""Secrets of webhooks, and signatures by the Standard Webhooks scheme."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

from iotplatform.common.encryption import cipher_for

PREFIX = "whsec_"
SECRET_BYTES = 32
PURPOSE = "webhooks"


def new_secret() -> str:
    """Return a new secret in the form in which receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def encrypt_secret(secret: str) -> str:
    """Return the secret as the table keeps it: it must sign, so it is no hash."""
    return cipher_for(PURPOSE).encrypt(secret.encode()).decode()


def decrypt_secret(kept: str) -> str:
    """Return the secret; raises InvalidToken if SECRET_KEY is another one now."""
    return cipher_for(PURPOSE).decrypt(kept.encode()).decode()


def signed_headers(
    secret: str, *, message_id: str, body: bytes, at: datetime
) -> dict[str, str]:
    """Return the headers ``webhook-id``, ``-timestamp`` and ``-signature`` (v1)."""
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(PREFIX))
    text = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, text, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
