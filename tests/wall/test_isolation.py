"""Every route by method by role with another tenant's objects, and nothing of them.

The other tenant has a row in every table, with one random word in every text. It must
be in no answer and in no line of our logs, and its rows as they were.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import serializers
from django.db import transaction

from fleet.services.indexing import Indexer
from registry.lifecycle import Role
from tests.factories import TenantFactory
from tests.wall.bodies import about_others, body_for
from tests.wall.people import (
    ANONYMOUS,
    APIS,
    CALLERS,
    DEVICE,
    PEOPLE,
    STAFF,
    Caller,
    people_of,
)
from tests.wall.routes import (
    KIND_OF,
    TREES,
    Kind,
    admin_path_to,
    kind_of,
    path_to,
    routes,
)
from tests.wall.rows import Rows, tenant_models

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
OUR_LOGGERS = (
    "iotplatform",
    "registry",
    "state",
    "commands",
    "fleet",
    "console",
    "django.db.backends",
)
TRIES = "route x method x role tries"
# With every right that there is: to them another's object is not there, not forbidden.
ALMIGHTY = {Role.ADMIN, "token of scope manage"}
FOR_ADMINS = {"api/v1/memberships/<membership_id>/"}
REFUSED = {400, 403, 404, 405, 409, 415}


@dataclass
class Fleet:
    """Two tenants, and everybody of the first."""

    ours: Rows
    theirs: Rows
    word: str
    callers: dict[str, Caller]


@pytest.fixture(scope="module")
def fleet(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[Fleet]:
    """One world for all that walk through it; what they change is undone at the end."""
    folder: Path = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(django_settings, "INDEX_DIR", folder)
        patch.setitem(
            django_settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES", {"key": "0/min"}
        )
        with transaction.atomic():
            word = f"kanari{token_hex(4)}"
            theirs = Rows(TenantFactory(slug=word, name=word), word)
            theirs.make_all()
            ours = Rows(TenantFactory(), "ours")
            ours.make_all()
            indexer = Indexer(folder)
            indexer.open()
            indexer.drain()
            yield Fleet(ours, theirs, word, people_of(ours.tenant))
            indexer.close()
            transaction.set_rollback(True)


@pytest.fixture
def untouched(fleet: Fleet) -> Iterator[None]:
    """See that the other tenant's rows are after the walk what they were."""
    before = everything_of(fleet.theirs)
    yield
    after = everything_of(fleet.theirs)
    # A message that names a device is filed where it belongs: one more, at the end.
    letters = (each.pop("state_deadletter") for each in (after, before))
    assert next(letters).startswith(next(letters)[:-1])
    assert after == before


def everything_of(rows: Rows) -> dict[str, str]:
    return {
        model._meta.db_table: serializers.serialize(
            "json", model._default_manager.filter(tenant=rows.tenant).order_by("pk")
        )
        for model in tenant_models()
    }


def of_kind(*kinds: Kind) -> list[str]:
    return [route for route in routes() if kind_of(route) in kinds]


def without(text: str, body: Any) -> str:
    """Return an answer without what it only repeats of what was asked."""
    for value in (body or {}).values():
        for said in value if isinstance(value, list) else [value]:
            if isinstance(said, str):
                text = text.replace(said, "")
    return text


class Walk:
    """Asks, counts, and keeps what was not as it should be."""

    def __init__(self, fleet: Fleet, name: str, counted: Counter[str]) -> None:
        self.fleet = fleet
        self.caller = fleet.callers[name]
        self.counted = counted
        self.wrong: list[tuple[str, str, int, str]] = []

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = self.caller.ask(method, path, body)
        text = answer.getvalue().decode(errors="replace")
        self.counted[TRIES] += 1
        if self.fleet.word in without(text, body):
            self.wrong.append((method, path, answer.status_code, "tells the word"))
        is_ours = answer.status_code >= 500 and path != "/readyz"  # nothing runs here
        # Of the doors of passwords we want that they are throttled.
        is_late = answer.status_code == 429 and path.startswith(APIS)
        if is_late or is_ours:
            self.wrong.append((method, path, answer.status_code, text[:200]))
        return answer.status_code, answer.get("Location", text[:200])

    def expect(
        self, allowed: set[int], method: str, path: str, body: Any = None
    ) -> None:
        status, said = self.ask(method, path, body)
        if status not in allowed and not (
            status == 302 and said.startswith(("/accounts/login/", "/admin/login/"))
        ):
            self.wrong.append((method, path, status, said))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, fleet: Fleet) -> Iterator[None]:
    """See that no line of our logs has the word."""
    for name in OUR_LOGGERS[:-1]:
        caplog.set_level(logging.DEBUG, logger=name)
    yield
    told = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(OUR_LOGGERS)
        and fleet.word in caplog.handler.format(record)
    ]
    assert told == []


def test_every_route_stands_in_the_table_and_the_table_names_no_other() -> None:
    known = set(routes())

    unclassified = sorted(route for route in known if kind_of(route) is None)
    assert unclassified == []
    assert sorted(set(KIND_OF) - known) == []
    assert [tree for tree in TREES if not any(r.startswith(tree) for r in known)] == []


@pytest.mark.parametrize("name", CALLERS)
def test_an_object_of_another_tenant_is_not_there(
    fleet: Fleet, name: str, counted: Counter[str], untouched: None, told: None
) -> None:
    walk = Walk(fleet, name, counted)
    for route in of_kind(Kind.OBJECT, Kind.OWN):
        if kind_of(route) is Kind.OWN and "<" not in route:
            continue
        path = path_to(route, fleet.theirs)
        if not walk.caller.comes_to(path):
            continue
        for method in METHODS:
            walk.expect(allowed_for(name, route, method), method, path, body_for(route))

    assert walk.wrong == []


def allowed_for(name: str, route: str, method: str) -> set[int]:
    if route.startswith("api/") and name in (ANONYMOUS, DEVICE):
        return {401}
    is_read = method == "get" and route not in FOR_ADMINS
    if name in ALMIGHTY or (is_read and name in PEOPLE):
        return {404, 405}
    return {403, 404, 405}


@pytest.mark.parametrize("name", CALLERS)
def test_what_lists_and_searches_tells_nothing_of_another_tenant(
    fleet: Fleet, name: str, counted: Counter[str], untouched: None, told: None
) -> None:
    walk = Walk(fleet, name, counted)
    begin = fleet.word[:-2]  # so that a form that repeats a query does not tell
    for route in of_kind(Kind.MANY):
        path = path_to(route, fleet.ours)
        if not walk.caller.comes_to(path):
            continue
        status, said = walk.ask("get", f"{path}?q=*")
        if name == Role.ADMIN and status >= 400 and status != 405:
            walk.wrong.append(("get", path, status, said))
        walk.ask("get", path)
        walk.ask("get", f"{path}?q={begin}*&search={begin}&uid={begin}")
        for method in METHODS[1:]:
            walk.ask(method, path)
        for body in about_others(route, fleet.theirs):
            status, said = walk.ask("post", path, body)
            if status < 300:
                walk.wrong.append(("post", path, status, said))

    assert walk.wrong == []


def test_the_walk_is_past_lists_that_show_what_is_ones_own(fleet: Fleet) -> None:
    """Or an empty answer would have proved nothing."""
    caller = fleet.callers[Role.ADMIN]
    for path in ("api/v1/devices/", "api/v1/devices/export/", "fleet/"):
        shown = caller.ask("get", f"/{path}?q=*").getvalue().decode()
        assert "ours-" in shown, path


@pytest.mark.parametrize("name", CALLERS)
def test_admin_and_platform_let_nobody_of_a_tenant_in(
    fleet: Fleet, name: str, counted: Counter[str], untouched: None, told: None
) -> None:
    walk = Walk(fleet, name, counted)
    for route in of_kind(Kind.ADMIN):
        if not walk.caller.comes_to("/admin/"):
            break
        # Who is no staff is refused in one place, whatever their role.
        for method in METHODS if name in (ANONYMOUS, Role.ADMIN) else METHODS[:2]:
            walk.expect(REFUSED, method, admin_path_to(route, fleet.theirs))
    for route in of_kind(Kind.PLATFORM):
        for method in METHODS:
            walk.expect({401, *REFUSED}, method, f"/{route}")

    assert walk.wrong == []


def test_a_tenants_staff_finds_nothing_of_another_in_the_admin(
    fleet: Fleet, counted: Counter[str], untouched: None, told: None
) -> None:
    walk = Walk(fleet, STAFF, counted)
    for route in of_kind(Kind.ADMIN):
        if "logout" in route or "password" in route:
            continue
        path = admin_path_to(route, fleet.theirs)
        if "object_id" in route:
            for method in ("get", "post", "delete"):
                walk.expect({302, *REFUSED}, method, path, {"post": "yes"})
        else:
            walk.ask("get", path)
            walk.ask("get", f"{path}?q={fleet.word[:-2]}")
    for field in ("site", "product", "gateway", "batch"):
        about = f"app_label=registry&model_name=device&field_name={field}&term="
        walk.ask("get", f"/admin/autocomplete/?{about}")

    assert walk.wrong == []


@pytest.mark.parametrize("name", CALLERS)
def test_a_device_does_nothing_to_another_tenants_commands_and_children(
    fleet: Fleet, name: str, counted: Counter[str], untouched: None, told: None
) -> None:
    walk = Walk(fleet, name, counted)
    for route in of_kind(Kind.DEVICE):
        path = path_to(route, fleet.theirs)
        for method in METHODS:
            if name != DEVICE:
                walk.expect({401}, method, path, body_for(route))
            elif "<child>" in route:
                walk.expect({403, 404, 405, 409}, method, path, body_for(route))
            else:
                walk.ask(method, path, body_for(route))

    assert walk.wrong == []


@pytest.mark.parametrize("name", CALLERS)
def test_what_is_public_or_ones_own_tells_nothing_of_another_tenant(
    fleet: Fleet, name: str, counted: Counter[str], untouched: None, told: None
) -> None:
    walk = Walk(fleet, name, counted)
    for route in of_kind(Kind.PUBLIC, Kind.OWN, Kind.BROKER):
        if "<" in route or "logout" in route:
            continue
        for method in METHODS if kind_of(route) is not Kind.OWN else ("get",):
            walk.ask(method, f"/{route}")

    assert walk.wrong == []
