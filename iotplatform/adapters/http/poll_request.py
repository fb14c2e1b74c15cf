"""Recognise a plain poll, which the device process answers without a view.

Anything else (a wrong parameter, another host, a missing credential) is left to the
view, so that every refusal is the view's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from iotplatform.adapters.http.authentication import SCHEME
from iotplatform.common.query_parameters import parse_whole_number
from iotplatform.common.waiting import LONGEST_WAIT_SECONDS

PATH = "/device/v1/commands/"
LARGEST = {"wait": LONGEST_WAIT_SECONDS, "desired_version": 2**63 - 1}
ONLY_ONCE = frozenset({b"host", b"authorization", b"accept"})


@dataclass(frozen=True, slots=True)
class PollRequest:
    """A poll as its device sent it; the secret is not checked yet."""

    uid: str
    secret: str
    wait: int
    known_version: int | None


def parse_poll(scope: Mapping[str, Any]) -> PollRequest | None:
    """Return the poll; None for another request, or one that the view must refuse."""
    if scope["method"] != "GET" or scope["path"] != PATH:
        return None
    headers = _headers(scope["headers"])
    numbers = _numbers(scope["query_string"])
    if headers is None or numbers is None or not _is_acceptable(headers, scope):
        return None
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    uid, _, secret = credential.strip().partition(":")
    if scheme.lower() != SCHEME.lower() or not uid or not secret or " " in secret:
        return None
    return PollRequest(
        uid, secret, numbers.get("wait", 0), numbers.get("desired_version")
    )


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in ONLY_ONCE and name.decode() in found:
            return None
        found[name.decode("latin-1")] = value.decode("latin-1")
    return found


def _numbers(query: bytes) -> dict[str, int] | None:
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query)
        )
    except ValueError:
        return None
    found: dict[str, int] = {}
    for name, text in pairs:
        number = None
        if name in LARGEST and name not in found:
            number = parse_whole_number(text, most=LARGEST[name])
        if number is None:
            return None
        found[name] = number
    return found


def _is_acceptable(headers: Mapping[str, str], scope: Mapping[str, Any]) -> bool:
    """Whether the middleware and the view's negotiation would let it pass."""
    domain, _ = split_domain_port(headers.get("host", ""))
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return False
    accept = headers.get("accept", "*/*")
    if "*/*" not in accept and "application/json" not in accept:
        return False
    return not settings.SECURE_SSL_REDIRECT or _is_secure(headers, scope)


def _is_secure(headers: Mapping[str, str], scope: Mapping[str, Any]) -> bool:
    if settings.SECURE_PROXY_SSL_HEADER is None:
        return bool(scope["scheme"] == "https")
    name, value = settings.SECURE_PROXY_SSL_HEADER
    header = name.removeprefix("HTTP_").replace("_", "-").lower()
    return headers.get(header, "").split(",")[0].strip() == value
