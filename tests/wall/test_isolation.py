"""Every URL that names an object by method by role: nothing of another tenant's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from registry.lifecycle import Role, Scope
from registry.models import ApiToken
from registry.services.tokens import create_token
from tests.factories import MembershipFactory, TenantFactory, UserFactory
from tests.wall.rows import Rows, tenant_models

pytestmark = pytest.mark.django_db
CANARY = "canary-7f3a"
METHODS = ("get", "post", "put", "patch", "delete")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")

# Parameter → model and field of the other tenant's object that it names.
OBJECT_OF = {
    "uid": ("registry", "Device", "uid"),
    "credential_id": ("registry", "Credential", "public_id"),
    "membership_id": ("registry", "Membership", "public_id"),
    "key_id": ("registry", "EnrolmentKey", "public_id"),
    "release_id": ("registry", "FirmwareRelease", "public_id"),
    "window_id": ("state", "MaintenanceWindow", "public_id"),
    "rule_id": ("state", "AlarmRule", "public_id"),
    "alarm_id": ("state", "Alarm", "public_id"),
    "command_id": ("commands", "Command", "public_id"),
    "job_id": ("commands", "Job", "public_id"),
    "cohort_id": ("fleet", "Cohort", "public_id"),
    "snapshot_id": ("fleet", "Snapshot", "public_id"),
}
# Collection → model of what its slug names.
SLUG_OF = {
    "batches": "Batch",
    "hardware-revisions": "HardwareRevision",
    "products": "Product",
    "projects": "Project",
    "sites": "Site",
    "spaces": "Space",
    "tenants": "Tenant",
}
# Doors where no person comes in, and the platform's own, each with tests of its own.
ELSEWHERE = ("admin/", "device/v1/", "broker/v1/")


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    for found in patterns or get_resolver().url_patterns:
        route = before + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from routes(found.url_patterns, route)
        elif isinstance(found, URLPattern) and PARAMETER.search(route):
            if not route.startswith(ELSEWHERE):
                yield route


def path_to(route: str, rows: Rows, token: ApiToken) -> str:
    """Fill in a route; a parameter that nobody classified is an error."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name == "action":
            return "cancel"
        if name == "token_id" or (name == "key_id" and route.startswith("keys/")):
            return str(token.public_id)
        if name == "slug":
            collection = route[: match.start()].rstrip("/").split("/")[-1].strip("^")
            row = rows.of(apps.get_model("registry", SLUG_OF[collection]))
            return str(row.slug)
        app, model, field = OBJECT_OF[name]
        return str(getattr(rows.of(apps.get_model(app, model)), field))

    return "/" + PARAMETER.sub(value, route).replace("^", "").replace("$", "")


def everything_of(rows: Rows) -> dict[str, str]:
    return {
        model._meta.db_table: serializers.serialize(
            "json", model._default_manager.filter(tenant=rows.tenant).order_by("pk")
        )
        for model in tenant_models()
    }


def callers() -> Iterator[tuple[str, Callable[[], Client]]]:
    yield "anonymous", Client
    tenant = TenantFactory()
    for role in Role.values:
        user = MembershipFactory(tenant=tenant, role=role).user
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        yield role, lambda client=client: client  # type: ignore[misc]
    for scope in Scope.values:
        user = MembershipFactory(tenant=tenant, role=Role.ADMIN).user
        _, key = create_token(user=user, name=scope, scopes=[scope])
        given = {"Authorization": f"Token {key}"}
        yield f"token {scope}", lambda given=given: Client(headers=given)  # type: ignore[misc]


def test_no_role_reaches_an_object_of_another_tenant(counted: Counter[str]) -> None:
    theirs = Rows(TenantFactory(name=CANARY), CANARY)
    theirs.make_all()
    token, _ = create_token(user=UserFactory(), name=CANARY, scopes=["read"])
    paths = [path_to(route, theirs, token) for route in routes()]
    before = everything_of(theirs)
    tried, reached = 0, []

    for caller, client in callers():
        for path in paths:
            for method in METHODS:
                answer = getattr(client(), method)(path)
                tried += 1
                is_refused = 300 <= answer.status_code < 500
                if not is_refused or CANARY.encode() in answer.content:
                    reached.append((caller, method, path, answer.status_code))

    counted["route x method x role tries"] += tried
    assert reached == []
    assert everything_of(theirs) == before
    assert len(paths) > 50
