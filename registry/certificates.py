"""Certificates of devices, known by the SHA-256 of their DER form."""

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
    """Return the fingerprint of the one certificate in a PEM text.

    A broker hands it on in base64, of the PEM text or of the DER form: both are read
    as well. Raises ValueError for anything else, and for a chain.
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
        # OpenSSL's own word on whether it is a certificate; nothing is trusted by it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ssl.SSLError, Base64Error, ValueError):
        raise ValueError("It is no X.509 certificate in PEM form.") from None
    return hashlib.sha256(der).hexdigest()


def normal_fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint as we keep it; openssl prints it with colons.

    Raises ValueError for what is none.
    """
    plain = text.strip().removeprefix("SHA256:").replace(":", "").lower()
    if not FINGERPRINT.fullmatch(plain):
        raise ValueError("It is no SHA-256 fingerprint: 64 hexadecimal digits.")
    return plain
