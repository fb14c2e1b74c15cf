"""Every page that a person can open works in Chromium without errors."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
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
    playbooks/<playbook_id>/run/ playbooks/<playbook_id>/delete/
    playbook-runs/<run_id>/progress/ playbook-runs/<run_id>/<action>/
    webhooks/<webhook_id>/<action>/ notifications/<notification_id>/replay/
    notification-rules/<notification_rule_id>/<action>/
    jobs/<job_id>/progress/ jobs/<job_id>/<action>/ commands/<command_id>/now/
    commands/<command_id>/<action>/ alarms/<alarm_id>/acknowledge/
    alarms/rules/<rule_id>/<action>/ maintenance/<window_id>/end/
    members/<membership_id>/change/ members/<membership_id>/remove/
    command-definitions/<definition_id>/delete/
    fleet/edits/<edit_id>/now/ fleet/edits/<edit_id>/undo/
    fleet/edits/<edit_id>/file/ policies/<policy_id>/delete/
    cohorts/<cohort_id>/delete/ queue/<item_id>/<action>/
    incidents/<incident_id>/<action>/
    keys/<key_id>/revoke/ dead-letters/replay/ accounts/2fa/recovery-codes/download/
    accounts/oidc/callback/ healthz readyz metrics favicon.ico device/
    admin/jsi18n/ admin/autocomplete/ admin/<url> admin/logout/
    admin/r/<content_type_id>/<object_id>/
    device/v1/upload/<token>/ device/v1/firmware/<token>/
    registry/sites/<site_id>/delete/ registry/spaces/<space_id>/delete/
    registry/projects/<project_id>/delete/ registry/products/<product_id>/delete/
    registry/hardware-revisions/<revision_id>/delete/
    registry/batches/<batch_id>/delete/ registry/enrolment-keys/<key_id>/revoke/
    registry/firmware-releases/<release_id>/delete/
    devices/<uid>/credentials/<credential_id>/revoke/ alarms/acknowledge/
    """.split()
)
# At full size, every page has everything. Else one of so many has: in the dark, of the
# admin's lists and of the pages that are judged by all rules; in the light, of the
# admin's pages that delete an object or show its past.
SAMPLED = 8
LOOKS = [
    LIGHT_AND_WIDE,
    DARK_AND_NARROW,
    replace(DARK_AND_NARROW, judges_all=False),
]
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
    "registry/devices/new/": ["", "?product=acme/sensor-s1"],
    "fleet/edit/": ["?q=*"],
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
    world: World, address: str, counted: Counter[str], is_long: bool
) -> None:
    pages = pages_of(world)
    cookies = {
        ANYBODY: "",
        NEWCOMER: session_of(world.newcomer),
        SUPERUSER: session_of(world.superuser),
    }
    rounds = [
        (look, cookies[who], seen(paths, look, is_long=is_long))
        for look in LOOKS
        for who, paths in pages.items()
    ]

    faults = walk(address, rounds)

    counted["pages opened in Chromium"] += sum(len(paths) for *_, paths in rounds)
    assert not faults, "\n".join(faults)


def seen(paths: list[str], look: Look, *, is_long: bool) -> list[str]:
    """Return what a pass opens: all pages when it is light, else no forms of the admin.

    The admin's lists come from one template, as do its pages about one object that are
    no forms: but for a run at full size, some of each are enough.
    """
    every = 1 if is_long else SAMPLED
    console = [path for path in paths if not path.startswith("/admin/")]
    lists = [path for path in paths if re.match("/admin/(?!(?:[^/]+/){3,})", path)]
    if not look.is_light:
        whole = console[::every]
        chosen = whole if look.judges_all else [p for p in console if p not in whole]
        return chosen + (lists[::every] if look.judges_all else [])
    about = [path for path in paths if re.search("/(delete|history)/$", path)]
    about = [path for path in about if path.startswith("/admin/")]
    return [path for path in paths if path not in about] + about[::every]


def test_a_page_without_values_for_its_parameters_is_named() -> None:
    rows = SimpleNamespace(made={})
    world = World(rows, User(), User())  # type: ignore[arg-type]

    with pytest.raises(LookupError, match="gadgets/<gadget_id>/: no argument"):
        path_of("gadgets/<gadget_id>/", world)
