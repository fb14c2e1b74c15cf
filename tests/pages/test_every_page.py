"""Every page that a person can open works in Chromium without errors."""

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
from tests.isolation.routes import PARAMETER, Kind, kind_of, path_to, routes
from tests.pages.full_data import TROUBLED
from tests.pages.walk import DARK_AND_NARROW, LIGHT_AND_WIDE, Look, walk
from tests.pages.world import World, session_of

pytestmark = pytest.mark.browser

# Routes without a page: polls, actions and downloads. Other tests cover them.
NO_PAGES = set(
    """
    trust/ find/ fleet/completions/ fleet/export/ devices/<uid>/now/
    devices/<uid>/story/ devices/<uid>/course/ devices/<uid>/feedback/
    devices/<uid>/lifecycle/
    devices/<uid>/commands/
    jobs/<job_id>/progress/ jobs/<job_id>/<action>/ commands/<command_id>/now/
    commands/<command_id>/<action>/ alarms/<alarm_id>/acknowledge/
    alarms/rules/<rule_id>/<action>/ maintenance/<window_id>/end/
    members/<membership_id>/change/ members/<membership_id>/remove/
    cohorts/<cohort_id>/delete/ queue/<item_id>/<action>/
    keys/<key_id>/revoke/ dead-letters/replay/ accounts/2fa/recovery-codes/download/
    accounts/oidc/callback/ healthz readyz metrics favicon.ico device/
    admin/jsi18n/ admin/autocomplete/ admin/<url> admin/logout/
    admin/r/<content_type_id>/<object_id>/
    device/v1/upload/<token>/ device/v1/firmware/<token>/
    """.split()
)
ANYBODY, NEWCOMER, SUPERUSER = "nobody", "newcomer", "superuser"
OPENED_BY = {
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
    "fleet/": ["", "?q=tag:x", TROUBLED, "?q=*&sort=-since"],
    "jobs/new/": ["?q=*"],
}


def pages_of(world: World) -> dict[str, list[str]]:
    """Return the paths by who opens them; a LookupError names a page without one."""
    found: dict[str, list[str]] = defaultdict(list)
    for route in routes():
        if is_page(route, world):
            paths = [path_of(route, world) + q for q in QUERIES.get(route, [""])]
            found[OPENED_BY.get(route, SUPERUSER)] += paths
    return found


def is_page(route: str, world: World) -> bool:
    if route == "api/docs/":
        return True
    kind = kind_of(route)
    is_endpoint = route.startswith("api/") or kind in (Kind.DEVICE, Kind.BROKER)
    return not is_endpoint and route not in NO_PAGES and is_offered(route, world)


def is_offered(route: str, world: World) -> bool:
    """Whether the admin has this page: some models are read-only there."""
    model, page = admin_page(route)
    if model is None or page not in ("add", "delete"):
        return page != ""  # the bare address of an object redirects to its form
    request = RequestFactory().get("/")
    request.user = world.superuser
    return bool(getattr(admin.site._registry[model], f"has_{page}_permission")(request))


def admin_page(route: str) -> tuple[type[Model] | None, str]:
    """Return the model of an admin route, and the kind of page."""
    found = re.fullmatch(r"admin/(\w+)/(\w+)/(?:<object_id>/)?(?:(\w+)/)?", route)
    model = apps.all_models[found[1]].get(found[2]) if found else None
    if found is None or model not in admin.site._registry:
        return None, "other"
    return model, found[3] or ("" if "<" in route else "list")


def path_of(route: str, world: World) -> str:
    """Fill the parameters of a route; a LookupError names a route without values."""
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


def test_every_page_opens_without_errors(
    world: World, address: str, counted: Counter[str]
) -> None:
    pages = pages_of(world)
    cookies = {
        ANYBODY: "",
        NEWCOMER: session_of(world.newcomer),
        SUPERUSER: session_of(world.superuser),
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
    """Whether a pass opens the page: the second pass opens only the admin's lists."""
    return look is LIGHT_AND_WIDE or not re.match("/admin/(?:[^/]+/){3,}", path)


def test_a_page_without_values_for_its_parameters_is_named() -> None:
    rows = SimpleNamespace(made={})
    world = World(rows, User(), User())  # type: ignore[arg-type]

    with pytest.raises(LookupError, match="gadgets/<gadget_id>/: no argument"):
        path_of("gadgets/<gadget_id>/", world)
