"""Device secrets, stored only as verifiers in Mosquitto's ``$7$`` form."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import OrderedDict
from threading import Lock

# Mosquitto's own numbers. The secrets are random with at least 128 bits, so the
# iterations need not slow guessing down, and a broker can check thousands per second.
ITERATIONS = 101
SALT_BYTES = 12
HASH_BYTES = 64
SECRET_BYTES = 32
REMEMBERED = 100_000  # devices that reconnect after an outage; about 200 bytes each


def new_secret() -> str:
    """Return a random secret of 256 bits that is safe in shells and URLs."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    # The command line of the usual clients would read a leading dash as an option.
    return new_secret() if secret.startswith("-") else secret


def make_verifier(secret: str, *, salt: bytes | None = None) -> str:
    """Return ``$7$<iterations>$<salt>$<hash>`` (PBKDF2-SHA512) of a secret."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    digest = _digest(secret, salt, ITERATIONS)
    return f"$7${ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def verify_secret(secret: str, verifier: str) -> bool:
    """Whether the secret matches the verifier, compared in constant time."""
    try:
        _, version, iterations, salt, expected = verifier.split("$")
        wanted = b64decode(expected, validate=True)
        got = _digest(secret, b64decode(salt, validate=True), int(iterations))
    except (ValueError, Base64Error):
        return False
    return version == "7" and hmac.compare_digest(got, wanted)


def _digest(secret: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac(
        "sha512", secret.encode(), salt, iterations, dklen=HASH_BYTES
    )


class VerifiedSecrets:
    """Secrets that were right before, so that a reconnect costs no second PBKDF2.

    It stores no secret, only an HMAC of verifier and secret under a random key of this
    process. A revoked verifier is never looked up again.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._key = os.urandom(32)
        self._most = most
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._seen)

    def verify(self, secret: str, verifier: str) -> bool:
        """Whether the secret matches the verifier; only right ones are remembered."""
        mark = hmac.digest(self._key, f"{verifier}\n{secret}".encode(), "sha256")
        with self._lock:
            if mark in self._seen:
                self._seen.move_to_end(mark)
                return True
        if not verify_secret(secret, verifier):
            return False
        with self._lock:
            self._seen[mark] = None
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)
        return True
