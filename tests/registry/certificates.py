"""Certificates of tests, made by openssl: a CA, and what it signs."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from pathlib import Path

from tests.waiting import PATIENCE


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN=test {name}"),
            *("-keyout", str(self._key), "-out", str(self.file)),
        )

    def issue(self, common_name: str, *, file: str = "") -> tuple[Path, Path]:
        """Return the certificate and key files of a name."""
        stem = self.folder / (file or common_name)
        key, request, made = (stem.with_suffix(s) for s in (".key", ".csr", ".crt"))
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={common_name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.file)),
            *("-CAkey", str(self._key), "-CAcreateserial", "-days", "2"),
            *("-copy_extensions", "copy", "-out", str(made)),
        )
        return made, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the DER form, as openssl prints it but without colons."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return hashlib.sha256(der).hexdigest()


def _openssl(*words: str) -> None:
    subprocess.run(
        ["openssl", *words], check=True, capture_output=True, timeout=PATIENCE
    )
