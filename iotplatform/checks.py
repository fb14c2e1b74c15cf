"""System checks that explain wrong settings; each message has an id."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from fleet.exceptions import IndexElsewhere, IndexUnavailable
from fleet.selectors.lag import current_reader

# The tag of those below: a process that works for long asks them when it starts.
# Django's own checks are of the code; they take a second, and migrate asks them.
OF_SETTINGS = "settings"
OLDEST_PYTHON = (3, 11)
SHORTEST_SECRET = 32
MQTT_VERSIONS = {"5", "3.1.1"}
CREDENTIAL_WAYS = {"files", "http", "none"}


@register(OF_SETTINGS)
def check_python(**kwargs: Any) -> list[CheckMessage]:
    if sys.version_info >= OLDEST_PYTHON:
        return []
    found = ".".join(map(str, sys.version_info[:3]))
    return [
        Error(
            f"Python {found} is too old: 3.11 or newer is needed.",
            id="iotplatform.E001",
        )
    ]


@register(OF_SETTINGS)
def check_secret_key(**kwargs: Any) -> list[CheckMessage]:
    """SECRET_KEY is set and strong: it protects sessions and signed links."""
    if settings.DEBUG:
        return []
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django raises this for an empty key
        key = ""
    if not key:
        return [
            Error(
                "SECRET_KEY is not set.",
                hint="Set it to 50 random characters, the same in every process.",
                id="iotplatform.E002",
            )
        ]
    if len(key) < SHORTEST_SECRET or len(set(key)) < 5:
        return [
            Error(
                f"SECRET_KEY is weak: it is shorter than {SHORTEST_SECRET} characters,"
                " or uses too few different ones.",
                hint="Set it to 50 random characters, the same in every process.",
                id="iotplatform.E003",
            )
        ]
    return []


@register(OF_SETTINGS)
def check_mqtt_url(**kwargs: Any) -> list[CheckMessage]:
    """MQTT_URL is valid, and fits BRIDGE_SLOTS."""
    form = "mqtt://%40bridge:secret@host:1883?version=5&share=bridge"
    try:
        url = urlsplit(settings.MQTT_URL)
        problem = _mqtt_problem(url)
    except ValueError as error:  # the port is not a number, or the IPv6 address is bad
        problem = str(error)
    if not problem:
        return []
    hint = f"For example: {form}"
    return [Error(f"MQTT_URL: {problem}", hint=hint, id="iotplatform.E004")]


def _mqtt_problem(url: SplitResult) -> str:
    options = parse_qs(url.query, keep_blank_values=True)
    version = options.get("version", ["5"])[0]
    if url.scheme not in ("mqtt", "mqtts"):
        return "must start with mqtt:// or mqtts://."
    if not url.hostname:
        return "the host is missing."
    if url.port == 0:
        return "the port is 0."
    if version not in MQTT_VERSIONS:
        return f"version must be 5 or 3.1.1, not {version}."
    if version == "3.1.1" and options.get("share", [""])[0]:
        return "MQTT 3.1.1 has no shared subscriptions: leave share empty."
    if version == "3.1.1" and settings.BRIDGE_SLOTS > 1:
        return "without shared subscriptions, BRIDGE_SLOTS must be 1."
    return ""


@register(OF_SETTINGS)
def check_broker_credentials(**kwargs: Any) -> list[CheckMessage]:
    """BROKER_CREDENTIALS is valid, and has the secret that it needs."""
    way = settings.BROKER_CREDENTIALS
    if way == "http" and len(settings.BROKER_SECRET) < SHORTEST_SECRET:
        return [
            Error(
                "BROKER_CREDENTIALS is http, but BROKER_SECRET is not set or shorter"
                f" than {SHORTEST_SECRET} characters: all requests of the broker are"
                " refused.",
                hint="Set it to 50 random characters, here and in the broker.",
                id="iotplatform.E006",
            )
        ]
    if way in CREDENTIAL_WAYS:
        return []
    return [
        Error(
            f"BROKER_CREDENTIALS must be one of {', '.join(sorted(CREDENTIAL_WAYS))},"
            f" not {settings.BROKER_CREDENTIALS!r}.",
            id="iotplatform.E005",
        )
    ]


@register(OF_SETTINGS)
def check_single_sign_on(**kwargs: Any) -> list[CheckMessage]:
    """Single sign-on has all its settings, and uses https."""
    names = ("OIDC_SERVER_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    missing = [name for name in names if not getattr(settings, name)]
    if len(missing) == len(names):
        return []
    if missing:
        text = f"Single sign-on needs settings that are missing: {', '.join(missing)}."
        return [Error(text, hint="Set all three, or none.", id="iotplatform.E007")]
    if _is_secure(settings.OIDC_SERVER_URL):
        return []
    return [
        Error(
            "OIDC_SERVER_URL must start with https://. Otherwise an attacker on the"
            " network could sign in as anybody.",
            hint="For example: https://id.example.com/realms/staff",
            id="iotplatform.E008",
        )
    ]


def _is_secure(address: str) -> bool:
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    if not url.hostname:
        return False
    return url.scheme == "https" or (
        url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
    )


@register(OF_SETTINGS)
def check_search_index(**kwargs: Any) -> list[CheckMessage]:
    """ELASTICSEARCH_URL is empty, or names scheme, host and port."""
    if not settings.ELASTICSEARCH_URL:
        return []
    try:
        url = urlsplit(settings.ELASTICSEARCH_URL)
        is_whole = url.scheme in ("http", "https") and url.hostname and url.port
    except ValueError:
        is_whole = False
    if is_whole:
        return []
    return [
        Error(
            "ELASTICSEARCH_URL must name scheme, host and port.",
            hint="For example: https://iot:secret@search.example.com:9200",
            id="iotplatform.E009",
        )
    ]


@register("index")
def check_index_place(**kwargs: Any) -> list[CheckMessage]:
    """The index that is kept up to date is on this machine."""
    try:
        current_reader()
    except IndexElsewhere as error:
        return [Warning(error.detail, id="iotplatform.W002")]
    except (DatabaseError, IndexUnavailable):
        pass  # no database yet, or no index: whatever needs them says so
    return []
