"""Opens lists of devices as their users do, and times each, in its own process.

``python -m bench.readers ROUNDS`` prints as JSON the seconds of each request by page,
and the number of devices that each page showed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
django.setup()

from django.test import Client  # noqa: E402

import iotplatform.wsgi  # noqa: E402, F401  (as in the web process)
from registry.choices import Role, TokenScope  # noqa: E402
from registry.models import Device, Tenant  # noqa: E402
from registry.services.people import create_user, set_membership  # noqa: E402
from registry.services.tokens import create_token  # noqa: E402

API = "/api/v1/devices/"
ADMIN = "/admin/registry/device/"


def client_of(tenant: str) -> Client:
    """Return an API client of a manager of the tenant."""
    user = create_user(username=f"manager@{tenant}", password=os.urandom(16).hex())
    set_membership(user=user, tenant=Tenant.objects.get(slug=tenant), role=Role.MANAGER)
    _, key = create_token(user=user, name="bench", scopes=TokenScope.values)
    return Client(headers={"Authorization": f"Token {key}"})


def superuser() -> Client:
    """Return a client of a superuser in the admin."""
    client = Client()
    client.force_login(
        create_user(
            username="admin",
            password=os.urandom(16).hex(),
            is_superuser=True,
            is_staff=True,
        )
    )
    return client


def pages() -> dict[str, Callable[[], Any]]:
    """Return the request of each page."""
    large, small, admin = client_of("large"), client_of("small"), superuser()
    middle = Device.objects.order_by("uid")[Device.objects.count() // 2]
    second = large.get(f"{API}?limit=1000").json()["next"]

    def rest(client: Client, query: str) -> Callable[[], Any]:
        return lambda: client.get(f"{API}{query}")

    def page(query: str, path: str = ADMIN) -> Callable[[], Any]:
        return lambda: admin.get(f"{path}{query}")

    choose = "/admin/autocomplete/?app_label=registry&model_name=credential"
    return {
        "rest: first page": rest(large, ""),
        "rest: the second 1,000": lambda: large.get(second),
        "rest: a small tenant": rest(small, ""),
        "rest: by site": rest(large, "?site=site-7"),
        "rest: by tag": rest(large, "?tag=row-7"),
        "rest: by product and site": rest(large, "?product=product-3&site=site-3"),
        "rest: the few in repair": rest(large, "?lifecycle=in_repair"),
        "rest: by serial": rest(large, f"?serial={middle.serial}"),
        "rest: one device": lambda: (
            large if middle.tenant.slug == "large" else small
        ).get(f"{API}{middle.uid}/"),
        "admin: first page": page(""),
        "admin: page 15": page("?p=15"),
        "admin: the few in repair": page("?lifecycle__exact=in_repair"),
        "admin: of a tenant": page(f"?tenant__id__exact={middle.tenant_id}"),
        "admin: search a uid": page(f"?q={middle.uid}"),
        "admin: search a serial": page(f"?q={middle.serial}"),
        "admin: search nothing": page("?q=zzz"),
        "admin: one device": page(f"{middle.pk}/change/"),
        "admin: choose a device": page("&field_name=device&term=dev-00", choose),
    }


def main() -> None:
    """Request every page in turn, for several rounds."""
    rounds = int(sys.argv[1])
    found: dict[str, list[float]] = {}
    shown: dict[str, int] = {}
    requests = pages()
    for turn in range(rounds + 1):
        for name, send in requests.items():
            started = time.perf_counter()
            answer = send()
            seconds = time.perf_counter() - started
            if answer.status_code != 200:
                raise SystemExit(f"{name}: {answer.status_code} {answer.content[:300]}")
            if turn:  # the first round warms up
                found.setdefault(name, []).append(seconds)
            shown[name] = answer.content.count(b"dev-")
    print(json.dumps({"seconds": found, "shown": shown}))


if __name__ == "__main__":
    main()
