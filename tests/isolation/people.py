"""The callers: anonymous, each role of a tenant, a key of each scope, a device."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.test import Client

from registry.choices import Adapter, DeviceKind, Role, TokenScope
from registry.models import Tenant
from registry.services.credentials import issue_credential
from registry.services.tokens import create_token
from tests.factories import DeviceFactory, MembershipFactory

ANONYMOUS, DEVICE, STAFF = "anonymous", "device", "admin in the admin site"
TOKENS = {f"token of scope {scope}": str(scope) for scope in TokenScope.values}
PEOPLE = [ANONYMOUS, *map(str, Role.values), *TOKENS]
CALLERS = [*PEOPLE, DEVICE]
BACKEND = "django.contrib.auth.backends.ModelBackend"
APIS = ("/api/", "/device/", "/broker/")


@dataclass
class Caller:
    """A caller: with a session in the browser, and with a key at the APIs."""

    name: str
    browser: Client = field(default_factory=Client)
    key: str = ""

    @cached_property
    def program(self) -> Client:
        """The client for the APIs; it keeps no cookies."""
        return Client(headers={"Authorization": self.key} if self.key else {})

    def comes_to(self, path: str) -> bool:
        """Whether the caller is known there: a key opens no page."""
        return path.startswith(APIS) or not self.key or self.has_session

    @property
    def has_session(self) -> bool:
        """Whether they are signed in in the browser."""
        return "sessionid" in self.browser.cookies

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request: forms to pages, JSON to the APIs."""
        if path.startswith(APIS):
            self.program.cookies.clear()
            return self.program.generic(
                method.upper(), path, _json(body), content_type="application/json"
            )
        if method == "post":
            return self.browser.post(path, body or {})
        return getattr(self.browser, method)(path)


def _json(body: Any) -> bytes:
    return json.dumps(body or {}).encode()


def member_of(tenant: Tenant, role: str) -> Caller:
    """Return a caller with this role, with a session and a key."""
    user = MembershipFactory.create(tenant=tenant, role=role).user
    _, key = create_token(user=user, name=role, scopes=TokenScope.values)
    caller = Caller(role, key=f"Token {key}")
    caller.browser.force_login(user, backend=BACKEND)
    return caller


def people_of(tenant: Tenant) -> dict[str, Caller]:
    """Return one caller of each kind, all of one tenant."""
    found = {ANONYMOUS: Caller(ANONYMOUS)}
    found |= {role: member_of(tenant, role) for role in Role.values}
    for name, scope in TOKENS.items():
        user = MembershipFactory.create(tenant=tenant, role=Role.ADMIN).user
        _, key = create_token(user=user, name=scope, scopes=[scope])
        found[name] = Caller(name, key=f"Token {key}")
    found[STAFF] = staff = Caller(STAFF)
    member = MembershipFactory.create(
        tenant=tenant, role=Role.ADMIN, user__is_staff=True
    )
    staff.browser.force_login(member.user, backend=BACKEND)
    device = DeviceFactory.create(
        tenant=tenant, adapter=Adapter.HTTP, kind=DeviceKind.GATEWAY
    )
    secret = issue_credential(device).secret
    found[DEVICE] = Caller(DEVICE, key=f"Device {device.uid}:{secret}")
    return found
