"""Every page that a signed-in person can open, in Chromium, without a fault."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.test import RequestFactory

from registry.models import User
from tests.pages.walk import DARK_AND_NARROW, LIGHT_AND_WIDE, Look, walk
from tests.pages.world import World, session_of
from tests.wall.routes import PARAMETER, Kind, kind_of, path_to, routes

pytestmark = pytest.mark.browser

# What a page asks for, does or hands out; the doors' own tests know them.
NO_PAGES = set(
    """
    trust/ find/ devices/<uid>/now/ devices/<uid>/story/ devices/<uid>/course/
    devices/<uid>/feedback/ devices/<uid>/lifecycle/ devices/<uid>/commands/
    jobs/<job_id>/progress/ jobs/<job_id>/<action>/ commands/<command_id>/now/
    commands/<command_id>/<action>/ alarms/<alarm_id>/acknowledge/
    alarms/rules/<rule_id>/<action>/ maintenance/<window_id>/end/
    members/<membership_id>/change/ members/<membership_id>/remove/
    keys/<key_id>/revoke/ dead-letters/replay/ accounts/2fa/recovery-codes/download/
    accounts/oidc/callback/ healthz readyz metrics favicon.ico device/
    admin/jsi18n/ admin/autocomplete/ admin/<url> admin/logout/
    admin/r/<content_type_id>/<object_id>/
    """.split()
)
ANYBODY, NEWCOMER, WALKER = "nobody", "newcomer", "superuser"
WALKED_BY = {
    "accounts/login/": ANYBODY,
    "accounts/inactive/": ANYBODY,
    "accounts/signup/": ANYBODY,
    "accounts/oidc/login/": ANYBODY,
    "accounts/2fa/totp/activate/": NEWCOMER,
    "accounts/password/set/": NEWCOMER,
}
ARGUMENTS: dict[str, Callable[[World], str]] = {
    "admin/<app_label>/": lambda world: "registry",
    "admin/registry/user/<id>/password/": lambda world: str(world.superuser.pk),
}
QUERIES = {
    "fleet/": ["", "?q=tag:x"],
    "jobs/new/": ["?q=*"],
}


def pages_of(world: World) -> dict[str, list[str]]:
    """Return the paths by who walks them; a LookupError names a page without one."""
    found: dict[str, list[str]] = defaultdict(list)
    for route in routes():
        if is_page(route, world):
            paths = [path_of(route, world) + q for q in QUERIES.get(route, [""])]
            found[WALKED_BY.get(route, WALKER)] += paths
    return found


def is_page(route: str, world: World) -> bool:
    if route == "api/docs/":
        return True
    kind = kind_of(route)
    is_door = route.startswith("api/") or kind in (Kind.DEVICE, Kind.BROKER)
    return not is_door and route not in NO_PAGES and is_offered(route, world)


def is_offered(route: str, world: World) -> bool:
    """Whether the admin has this page: what others write can only be looked at."""
    model, page = admin_page(route)
    if model is None or page not in ("add", "delete"):
        return page != ""  # an object's bare address leads to its form
    request = RequestFactory().get("/")
    request.user = world.superuser
    return bool(getattr(admin.site._registry[model], f"has_{page}_permission")(request))


def admin_page(route: str) -> tuple[type[Model] | None, str]:
    """Return the model that a route of the admin is about, and what it does."""
    found = re.fullmatch(r"admin/(\w+)/(\w+)/(?:<object_id>/)?(?:(\w+)/)?", route)
    model = apps.all_models[found[1]].get(found[2]) if found else None
    if found is None or model not in admin.site._registry:
        return None, "other"
    return model, found[3] or ("" if "<" in route else "list")


def path_of(route: str, world: World) -> str:
    """Fill a route in; a LookupError names one that nobody gave arguments for."""
    model, _ = admin_page(route)
    try:
        if model is not None:
            key = world.row_of(model._meta.label).pk
            return "/" + route.replace("<object_id>", quote(str(key)))
        if route in ARGUMENTS:
            return "/" + PARAMETER.sub(ARGUMENTS[route](world), route)
        return path_to(route, world.rows)
    except (KeyError, LookupError) as error:
        raise LookupError(f"{route}: no argument for its page: {error!r}") from error


def test_every_page_opens_without_a_fault(
    world: World, address: str, counted: Counter[str]
) -> None:
    pages = pages_of(world)
    cookies = {
        ANYBODY: "",
        NEWCOMER: session_of(world.newcomer),
        WALKER: session_of(world.superuser),
    }
    rounds = [
        (look, cookies[who], [path for path in paths if is_seen(path, look)])
        for look in (LIGHT_AND_WIDE, DARK_AND_NARROW)
        for who, paths in pages.items()
    ]

    faults = walk(address, rounds)

    counted["pages opened in Chromium"] += sum(len(paths) for *_, paths in rounds)
    assert not faults, "\n".join(faults)


def is_seen(path: str, look: Look) -> bool:
    """Whether a page is opened in a pass: of the admin's, lists alone in the second."""
    return look is LIGHT_AND_WIDE or not re.match("/admin/(?:[^/]+/){3,}", path)


def test_a_page_that_nobody_gave_arguments_for_is_named() -> None:
    rows = SimpleNamespace(made={})
    world = World(rows, User(), User())  # type: ignore[arg-type]

    with pytest.raises(LookupError, match="gadgets/<gadget_id>/: no argument"):
        path_of("gadgets/<gadget_id>/", world)
