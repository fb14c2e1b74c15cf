"""Which requests are plain polls, and which of them are handed over."""

from __future__ import annotations

from typing import Any

import pytest

from iotplatform.adapters.http.connection_handover import head_of, may_wait
from iotplatform.adapters.http.poll_request import PollRequest, parse_poll

GOOD = {"host": "localhost:8000", "authorization": "Device dev-1:secret"}


def scope(query: bytes = b"wait=30", **changes: Any) -> dict[str, Any]:
    headers = GOOD | changes.pop("headers", {})
    return {
        "method": "GET",
        "path": "/device/v1/commands/",
        "query_string": query,
        "scheme": "http",
        "headers": [
            (name.encode(), value.encode())
            for name, value in headers.items()
            if value is not None
        ],
    } | changes


@pytest.mark.parametrize(
    ("query", "wait", "version"),
    [
        (b"", 0, None),
        (b"wait=30", 30, None),
        (b"desired_version=7&wait=60", 60, 7),
        (b"desired_version=0", 0, 0),
    ],
)
def test_a_plain_poll_is_recognised(
    query: bytes, wait: int, version: int | None
) -> None:
    assert parse_poll(scope(query)) == PollRequest("dev-1", "secret", wait, version)


@pytest.mark.parametrize(
    "changes",
    [
        {"query": b"wait=61"},
        {"query": b"wait="},
        {"query": b"wait=1&wait=2"},
        {"query": b"wiat=1"},
        {"query": b"wait=\xff"},
        {"method": "HEAD"},
        {"path": "/device/v1/commands"},
        {"headers": {"host": "elsewhere"}},
        {"headers": {"host": None}},
        {"headers": {"authorization": None}},
        {"headers": {"authorization": "Token dev-1:secret"}},
        {"headers": {"authorization": "Device dev-1"}},
        {"headers": {"authorization": "Device dev-1:two words"}},
        {"headers": {"content-length": "5"}},
        {"headers": {"transfer-encoding": "chunked"}},
        {"headers": {"accept": "text/html"}},
    ],
)
def test_everything_else_is_left_to_the_view(changes: dict[str, Any]) -> None:
    assert parse_poll(scope(**changes)) is None


def test_a_poll_without_tls_is_left_to_the_redirect(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    assert parse_poll(scope()) is None
    assert parse_poll(scope(headers={"x-forwarded-proto": "https"})) is not None
    assert parse_poll(scope(headers={"x-forwarded-proto": "http"})) is None


def environ(**changes: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/device/v1/commands/?wait=30",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_CONNECTION": "keep-alive",
        "HTTP_EXPECT": "100-continue",
        **changes,
    }


def test_a_handed_over_request_is_the_same_and_the_last_one_of_its_connection() -> None:
    assert may_wait(environ())
    assert head_of(environ()) == (
        b"GET /device/v1/commands/?wait=30 HTTP/1.1\r\nhost: localhost\r\n"
        b"x-forwarded-proto: https\r\nconnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"REQUEST_METHOD": "POST"},
        {"RAW_URI": "/device/v1/commands/"},
        {"RAW_URI": "/device/v1/commands/?desired_version=1"},
        {"RAW_URI": "/api/v1/commands/?wait=1"},
        {"SERVER_PROTOCOL": "HTTP/2"},
        {"CONTENT_LENGTH": "2"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
    ],
)
def test_what_cannot_wait_is_not_handed_over(changes: dict[str, str]) -> None:
    assert not may_wait(environ(**changes))
