"""What a broker asks over HTTP: EMQX 5, and Mosquitto with mosquitto-go-auth.

A refusal is answered with status 200: on an error status EMQX asks the next
authenticator, which may allow it. A request that cannot be read, a wrong broker secret
and an unavailable database are refused in the same way.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from iotplatform.common import broker_rights
from iotplatform.common.broker_rights import PLATFORM_MARK
from registry.certificates import fingerprint_of, normal_fingerprint
from registry.models.credentials import CredentialKind
from registry.selectors.credentials import (
    is_certificate_of_across_tenants,
    is_secret_of_across_tenants,
    may_connect_across_tenants,
)

logger = logging.getLogger(__name__)

DEVICES, PLATFORM = "devices", "platform"  # the listeners
READ, WRITE, READ_WRITE, SUBSCRIBE = 1, 2, 3, 4  # Mosquitto's numbers
MOST_BYTES = 100_000  # a topic has at most 65,535, a certificate some thousands

Question = Mapping[str, str]
Answer = Callable[[bool], HttpResponse]


def asked(answer: Answer) -> Callable[..., Callable[..., HttpResponse]]:
    """Turn a function that allows or refuses into a view for a broker."""

    def decorate(decide: Callable[..., bool]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        def view(request: HttpRequest, **kwargs: str) -> HttpResponse:
            if not _is_our_broker(request):
                logger.warning("refused a broker's request without BROKER_SECRET")
                return answer(False)
            try:
                return answer(decide(_question(request), **kwargs))
            except (OperationalError, InterfaceError) as error:
                logger.error("refused, the database does not answer: %s", error)
            except (ValueError, RecursionError) as error:
                logger.info("refused a broker's request that cannot be read: %s", error)
            return answer(False)

        return view

    return decorate


def _emqx(is_allowed: bool) -> HttpResponse:
    answer: dict[str, Any] = {"result": "allow" if is_allowed else "deny"}
    return JsonResponse(answer | {"is_superuser": False})


def _go_auth(is_allowed: bool) -> HttpResponse:
    return JsonResponse({"ok": is_allowed, "error": "" if is_allowed else "refused"})


@asked(_emqx)
def emqx_authn(question: Question, listener: str) -> bool:
    """``username, password, clientid, cert_pem, cert_common_name``."""
    return may_enter(question, listener)


@asked(_emqx)
def emqx_authz(question: Question) -> bool:
    """``username, topic, action``: publish or subscribe."""
    acts = {"publish": WRITE, "subscribe": SUBSCRIBE}
    return may_act(question, acts.get(question.get("action", ""), 0))


@asked(_go_auth)
def mosquitto_user(question: Question, listener: str) -> bool:
    """``username, password, clientid``."""
    return may_enter(question, listener)


@asked(_go_auth)
def mosquitto_superuser(question: Question, listener: str) -> bool:
    """No client has more rights than the table gives."""
    return False


@asked(_go_auth)
def mosquitto_acl(question: Question, listener: str) -> bool:
    """``username, clientid, topic, acc``."""
    if _is_platform(question) != (listener == PLATFORM):
        return False
    acc = question.get("acc", "")
    return may_act(question, int(acc) if acc.isdecimal() else 0)


def may_enter(question: Question, listener: str) -> bool:
    """Whether this client proves its identity, on a listener that is meant for it."""
    user, secret = question.get("username", ""), question.get("password", "")
    if _is_platform(question):
        return listener == PLATFORM and _is_bridge(user, secret)
    if listener != DEVICES:
        return False
    # Else a device could take over another's session by using its client id.
    if question.get("clientid", user) != user:
        return False
    if secret:
        return is_secret_of_across_tenants(user, secret)
    return _has_certificate(user, question)


def may_act(question: Question, act: int) -> bool:
    """Whether the table allows this action, and the device may still connect."""
    user, topic = question.get("username", ""), question.get("topic", "")
    allowed = {
        READ: broker_rights.may_read,
        WRITE: broker_rights.may_write,
        SUBSCRIBE: broker_rights.may_subscribe,
        READ_WRITE: lambda *what: (
            broker_rights.may_read(*what) and broker_rights.may_write(*what)
        ),
    }.get(act)
    if allowed is None or not allowed(user, topic):
        return False
    if _is_platform(question):
        return True
    try:
        return may_connect_across_tenants(user)
    except (OperationalError, InterfaceError):
        # The broker admitted it while the database answered. The table gives it only
        # its own topics, so it keeps them.
        logger.warning("the database does not answer: %s keeps its own topics", user)
        return True


def _has_certificate(user: str, question: Question) -> bool:
    """Whether the broker saw the device's certificate; it has verified the chain.

    If a broker passes only the common name, we trust its CA for the rest.
    """
    if pem := question.get("cert_pem", ""):
        return is_certificate_of_across_tenants(user, fingerprint_of(pem))
    if text := question.get("cert_fingerprint", ""):
        return is_certificate_of_across_tenants(user, normal_fingerprint(text))
    name = question.get("cert_common_name", "")
    return name == user and may_connect_across_tenants(user, kind=CredentialKind.X509)


def _is_platform(question: Question) -> bool:
    return question.get("username", "").startswith(PLATFORM_MARK)


def _is_bridge(user: str, secret: str) -> bool:
    """Whether name and secret are those of our own bridge, in MQTT_URL."""
    url = urlsplit(settings.MQTT_URL)
    ours = (unquote(url.username or ""), unquote(url.password or ""))
    if not all(ours):
        return False
    pairs = zip((user, secret), ours, strict=True)
    same = [hmac.compare_digest(a.encode(), b.encode()) for a, b in pairs]
    return all(same)


def _is_our_broker(request: HttpRequest) -> bool:
    """Check the secret; mosquitto-go-auth cannot send a header, so it uses the URI."""
    expected = settings.BROKER_SECRET
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    given = given or request.GET.get("secret", "")
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def _question(request: HttpRequest) -> dict[str, str]:
    """Read a JSON object or a form; keep only texts and numbers."""
    if request.method != "POST":
        raise ValueError(f"it is a {request.method}, not a POST")
    if request.content_type == "application/x-www-form-urlencoded":
        return request.POST.dict()
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError("it is too long")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("it is not an object")
    texts = {name: str(v) for name, v in found.items() if isinstance(v, str | int)}
    if any("\0" in text for text in texts.values()):
        raise ValueError("it contains NUL")
    return texts
