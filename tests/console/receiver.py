"""A real HTTPS receiver for tests, with a certificate authority of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "localhost"


@dataclass
class Authority:
    """A certificate authority, and a certificate of it for NAME."""

    ca_file: Path
    server_file: Path  # certificate and key


def make_authority(folder: Path) -> Authority:
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _certificate("Test CA", "Test CA", ca_key.public_key(), ca_key, is_ca=True)
    server = _certificate(NAME, "Test CA", key.public_key(), ca_key, is_ca=False)
    authority = Authority(folder / "ca.pem", folder / "server.pem")
    pem = serialization.Encoding.PEM
    authority.ca_file.write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority.server_file.write_bytes(server.public_bytes(pem) + private)
    return authority


def _certificate(
    name: str, issuer: str, public_key: Any, signer: Any, *, is_ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), True)
    )
    if not is_ca:
        names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
        builder = builder.add_extension(names, False)
    return builder.sign(signer, hashes.SHA256())


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature as the Standard Webhooks scheme says."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        given = self.headers
        text = f"{given['webhook-id']}.{given['webhook-timestamp']}.".encode()
        digest = hmac.new(key, text + self.body, hashlib.sha256).digest()
        wanted = f"v1,{base64.b64encode(digest).decode()}"
        return wanted in given["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """Answers what ``answer`` says of each request; keeps them all."""

    port: int
    scheme: str
    requests: list[Received] = field(default_factory=list)
    answer: Callable[[Received], tuple[int, dict[str, str]]] = lambda _: (204, {})

    @property
    def url(self) -> str:
        return f"{self.scheme}://{NAME}:{self.port}/hook?from=tests"

    @property
    def host(self) -> str:
        return f"{NAME}:{self.port}"

    @property
    def told(self) -> list[tuple[str, str]]:
        """Subject and type of every request, in the order in which they came."""
        return [(r.event["subject"], r.event["type"]) for r in self.requests]


@contextmanager
def receiving(authority: Authority | None, *, port: int = 0) -> Iterator[Receiver]:
    """Listen on the loopback: with TLS if there is an authority."""
    receiver: Receiver

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.path, headers, self.rfile.read(length))
            receiver.requests.append(request)
            status, more = receiver.answer(request)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.server_file)
        # The handshake is left to the thread of the request: it holds up no other.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "http" if authority is None else "https"
    receiver = Receiver(server.server_address[1], scheme)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
