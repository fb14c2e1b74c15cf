"""One POST to a receiver: to the address that was checked, and nowhere else."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from threading import Timer

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from console.services.webhooks.addresses import RefusedAddress, Url, read_url, resolve
from console.services.webhooks.signing import signed_headers

ANSWER_SECONDS = 10.0  # of silence
LONGEST_SECONDS = 20.0  # of one try
USER_AGENT = "iotplatform-webhooks/1"


@dataclass(frozen=True)
class Message:
    """What is sent, and to whom."""

    url: str
    is_listed: bool  # a superuser allows its host, whatever its address
    secret: str
    message_id: str
    body: bytes


@dataclass(frozen=True)
class Sent:
    """What came of it."""

    status: int | None = None  # of the answer; None: there was none
    error: str = ""  # in words; empty: delivered
    is_final: bool = False  # no other try can succeed

    @property
    def is_delivered(self) -> bool:
        return not self.error

    @property
    def is_target_away(self) -> bool:
        """Whether nobody answers there: then other messages would not arrive either."""
        return self.status is None


def send(message: Message) -> Sent:
    """Send a message; delivered is every answer 2xx, and no redirect is followed."""
    try:
        url = read_url(message.url)
        address = resolve(url, is_listed=message.is_listed)
    except RefusedAddress as error:
        return Sent(error=f"refused: {error}")
    except (OSError, UnicodeError):
        return Sent(error="its name has no address")
    try:
        return _post(url, address, message)
    except ssl.SSLCertVerificationError as error:
        return Sent(error=f"TLS: {error.verify_message}")
    except ssl.SSLError as error:
        return Sent(error=f"TLS: {error.reason or 'failed'}")
    except NewConnectionError:
        return Sent(error="no connection")
    except (TimeoutError, ConnectTimeoutError):
        return Sent(error="no answer in time")
    except (HTTPError, HTTPException, OSError) as error:
        name = type(error).__name__.removesuffix("Error")
        return Sent(error=f"no connection: {name}")


def _post(url: Url, address: str, message: Message) -> Sent:
    headers = {
        "Host": url.host_header,
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": USER_AGENT,
        **signed_headers(
            message.secret,
            message_id=message.message_id,
            body=message.body,
            at=datetime.now(UTC),
        ),
    }
    connection = _connection(url, address)
    # A receiver that sends a byte now and then would keep the thread for hours.
    watchdog = Timer(LONGEST_SECONDS, _cut, [connection])
    watchdog.start()
    try:
        # The body of an answer is not read: nobody needs it.
        connection.request(
            "POST",
            url.path,
            body=message.body,
            headers=headers,
            preload_content=False,
        )
        status = connection.getresponse().status
    finally:
        watchdog.cancel()
        connection.close()
    if 200 <= status < 300:
        return Sent(status=status)
    moved = " (redirects are not followed)" if 300 <= status < 400 else ""
    return Sent(status=status, error=f"answered {status}{moved}")


def _connection(url: Url, address: str) -> HTTPConnection:
    """Return a connection to the checked address; TLS checks the name of the URL."""
    if url.scheme == "http":
        return HTTPConnection(address, url.port, timeout=ANSWER_SECONDS)
    return HTTPSConnection(
        address,
        url.port,
        timeout=ANSWER_SECONDS,
        # The system's authorities, or those of SSL_CERT_FILE.
        ssl_context=ssl.create_default_context(),
        server_hostname=url.host,
        assert_hostname=url.host,
    )


def _cut(connection: HTTPConnection) -> None:
    """End a connection that another thread waits for."""
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
