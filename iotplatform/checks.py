"""System checks that explain a bad setting, each with an id."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

OLDEST_PYTHON = (3, 11)
SHORTEST_SECRET = 32
MQTT_VERSIONS = {"5", "3.1.1"}
CREDENTIAL_WAYS = {"files", "http", "none"}


@register()
def check_python(**kwargs: Any) -> list[CheckMessage]:
    """The interpreter is new enough."""
    if sys.version_info >= OLDEST_PYTHON:
        return []
    found = ".".join(map(str, sys.version_info[:3]))
    return [Error(f"Python {found} is too old: 3.11 or newer.", id="iotplatform.E001")]


@register()
def check_secret_key(**kwargs: Any) -> list[CheckMessage]:
    """Sessions and signed links stand on a secret of their own."""
    if settings.DEBUG:
        return []
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's own words for an empty one
        key = ""
    if not key:
        return [
            Error(
                "SECRET_KEY is not set.",
                hint="Set it to 50 random characters, the same for every process.",
                id="iotplatform.E002",
            )
        ]
    if len(key) < SHORTEST_SECRET or len(set(key)) < 5:
        return [
            Error(
                f"SECRET_KEY is weak: shorter than {SHORTEST_SECRET} characters, or"
                " made of few.",
                hint="Set it to 50 random characters, the same for every process.",
                id="iotplatform.E003",
            )
        ]
    return []


@register()
def check_mqtt_url(**kwargs: Any) -> list[CheckMessage]:
    """MQTT_URL can be understood, and says what the broker can do."""
    form = "mqtt://%40bridge:secret@host:1883?version=5&share=bridge"
    try:
        url = urlsplit(settings.MQTT_URL)
        problem = _mqtt_problem(url)
    except ValueError as error:  # a port that is no number, a broken IPv6 address
        problem = str(error)
    if not problem:
        return []
    return [Error(f"MQTT_URL: {problem}", hint=f"As in {form}", id="iotplatform.E004")]


def _mqtt_problem(url: SplitResult) -> str:
    options = parse_qs(url.query, keep_blank_values=True)
    version = options.get("version", ["5"])[0]
    if url.scheme not in ("mqtt", "mqtts"):
        return "begins with neither mqtt:// nor mqtts://."
    if not url.hostname:
        return "names no host."
    if url.port == 0:
        return "the port is 0."
    if version not in MQTT_VERSIONS:
        return f"version={version} is neither 5 nor 3.1.1."
    if version == "3.1.1" and options.get("share", [""])[0]:
        return "MQTT 3.1.1 has no shared subscriptions: leave share empty."
    if version == "3.1.1" and settings.BRIDGE_SLOTS > 1:
        return "without shared subscriptions there is one bridge: BRIDGE_SLOTS is 1."
    return ""


@register()
def check_broker_credentials(**kwargs: Any) -> list[CheckMessage]:
    """BROKER_CREDENTIALS is a way that there is, and has what it needs."""
    way = settings.BROKER_CREDENTIALS
    if way == "http" and len(settings.BROKER_SECRET) < SHORTEST_SECRET:
        return [
            Error(
                "BROKER_CREDENTIALS is http, and BROKER_SECRET is not set or shorter"
                f" than {SHORTEST_SECRET} characters: every question is refused.",
                hint="Set it to 50 random characters, here and in the broker.",
                id="iotplatform.E006",
            )
        ]
    if way in CREDENTIAL_WAYS:
        return []
    return [
        Error(
            f"BROKER_CREDENTIALS is {settings.BROKER_CREDENTIALS!r}; it is one of:"
            f" {', '.join(sorted(CREDENTIAL_WAYS))}.",
            id="iotplatform.E005",
        )
    ]


@register()
def check_single_sign_on(**kwargs: Any) -> list[CheckMessage]:
    """An identity provider is named with all that it takes, and safely reached."""
    names = ("OIDC_SERVER_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    missing = [name for name in names if not getattr(settings, name)]
    if len(missing) == len(names):
        return []
    if missing:
        text = f"Of single sign-on these are not set: {', '.join(missing)}."
        return [Error(text, hint="Set all three, or none.", id="iotplatform.E007")]
    if _is_safely_reached(settings.OIDC_SERVER_URL):
        return []
    return [
        Error(
            "OIDC_SERVER_URL begins with no https://: anybody on the way could sign in"
            " as anybody.",
            hint="As in https://id.example.com/realms/staff",
            id="iotplatform.E008",
        )
    ]


def _is_safely_reached(address: str) -> bool:
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    if not url.hostname:
        return False
    return url.scheme == "https" or (
        url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
    )


@register()
def check_search_index(**kwargs: Any) -> list[CheckMessage]:
    """Nobody believes that Elasticsearch is used while it is not."""
    if not settings.ELASTICSEARCH_URL:
        return []
    return [
        Warning(
            "ELASTICSEARCH_URL is set, and this version does not use it yet: the fleet"
            " is searched in the embedded index.",
            id="iotplatform.W001",
        )
    ]
