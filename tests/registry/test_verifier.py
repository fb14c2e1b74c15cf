"""Verifiers have Mosquitto's form: checked by an independent computation."""

from __future__ import annotations

import hmac
import math
from base64 import b64decode

from registry.device_secrets import (
    VerifiedSecrets,
    make_verifier,
    new_secret,
    verify_secret,
)


def pbkdf2_sha512(secret: bytes, salt: bytes, iterations: int) -> bytes:
    """RFC 8018, section 5.2, for one block: 64 bytes."""
    block = hmac.digest(secret, salt + (1).to_bytes(4, "big"), "sha512")
    total = int.from_bytes(block, "big")
    for _ in range(iterations - 1):
        block = hmac.digest(secret, block, "sha512")
        total ^= int.from_bytes(block, "big")
    return total.to_bytes(64, "big")


def test_a_verifier_is_mosquittos_form_of_pbkdf2() -> None:
    secret = new_secret()

    _, version, iterations, salt, digest = make_verifier(secret).split("$")

    assert version == "7"
    expected = pbkdf2_sha512(secret.encode(), b64decode(salt), int(iterations))
    assert b64decode(digest) == expected
    assert len(b64decode(salt)) == 12


def test_a_secret_matches_only_its_own_verifier() -> None:
    secret, other = new_secret(), new_secret()
    verifier = make_verifier(secret)

    assert verify_secret(secret, verifier)
    assert not verify_secret(other, verifier)
    assert not verify_secret("", verifier)
    assert make_verifier(secret) != verifier  # the salt is new each time


def test_a_malformed_verifier_matches_no_secret() -> None:
    for text in ("", "x", "$7$", "$7$101$!$!", "$6$101$AAAA$AAAA", "$7$x$AAAA$AAAA"):
        assert not verify_secret("x", text)


def test_a_secret_has_at_least_192_bits_and_needs_no_quoting() -> None:
    secrets = {new_secret() for _ in range(1_000)}

    assert len(secrets) == 1_000
    for secret in secrets:
        assert len(secret) * math.log2(64) >= 192
        assert secret.replace("-", "").replace("_", "").isalnum()
        assert not secret.startswith("-")


def test_a_right_secret_is_remembered_without_being_stored() -> None:
    remembered = VerifiedSecrets(most=2)
    secrets = [new_secret() for _ in range(3)]
    verifiers = [make_verifier(secret) for secret in secrets]

    for secret, verifier in zip(secrets, verifiers, strict=True):
        assert not remembered.verify("guess", verifier)
        assert remembered.verify(secret, verifier)
        assert remembered.verify(secret, verifier)
        assert not remembered.verify("guess", verifier)

    kept = repr(vars(remembered))
    assert not any(secret in kept for secret in secrets)
    assert len(remembered) == 2
