"""Certificates of devices, identified by the SHA-256 of their DER form."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from binascii import Error as Base64Error

FINGERPRINT = re.compile(r"[0-9a-f]{64}")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
LONGEST_TEXT = 20_000  # a certificate has 1 to 3 thousand characters


def fingerprint_of(text: str) -> str:
    """Return the fingerprint of the single certificate in a PEM text.

    Brokers also pass the PEM text or the DER form in base64: both are read. Raises
    ValueError for anything else, and for a chain.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError("It is too long for a certificate.")
    found = PEM.findall(text)
    if len(found) > 1:
        raise ValueError("Give the device's own certificate, not a chain.")
    try:
        if found:
            der = ssl.PEM_cert_to_DER_cert(found[0])
        else:
            der = base64.b64decode("".join(text.split()), validate=True)
            if der.startswith(b"-----BEGIN"):
                return fingerprint_of(der.decode("ascii"))
        # OpenSSL decides whether it is a certificate; this does not verify trust.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ssl.SSLError, Base64Error, ValueError):
        raise ValueError("It is not an X.509 certificate in PEM form.") from None
    return hashlib.sha256(der).hexdigest()


def normal_fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint in our form; openssl prints it with colons.

    Raises ValueError if it is not one.
    """
    plain = text.strip().removeprefix("SHA256:").replace(":", "").lower()
    if not FINGERPRINT.fullmatch(plain):
        raise ValueError("It is not a SHA-256 fingerprint of 64 hexadecimal digits.")
    return plain
