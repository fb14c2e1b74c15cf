"""Secrets of simulated devices, derived from one key so that none must be stored."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from pathlib import Path

KEY_BYTES = 32


class UnusableKey(Exception):
    """The key file exists but cannot be used."""


def load_key(path: Path) -> bytes:
    """Return the key in ``path``; create the file (mode 0600) when it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise UnusableKey(f"{path}: {error.strerror}") from error
    key = os.urandom(KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.urlsafe_b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def device_secret(key: bytes, uid: str) -> str:
    digest = hmac.digest(key, uid.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _read(path: Path) -> bytes:
    try:
        key = base64.urlsafe_b64decode(path.read_bytes().strip())
    except (OSError, ValueError) as error:
        raise UnusableKey(f"{path}: {error}") from error
    if len(key) < 16:
        raise UnusableKey(f"{path} does not contain a key of at least 16 bytes.")
    return key
