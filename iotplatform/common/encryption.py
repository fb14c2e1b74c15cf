"""Secrets that must be read again: encrypted, so that a database copy is no use."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet
from django.conf import settings


def cipher_for(purpose: str) -> Fernet:
    """Return the cipher of a purpose; its key is derived from SECRET_KEY.

    What is encrypted for one purpose cannot be read for another.
    """
    digest = hashlib.sha256(f"{purpose}:{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
