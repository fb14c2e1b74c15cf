"""Every route, method and role with another tenant's objects: nothing is revealed.

The other tenant has a row in every table, with one random word in every text, list and
document, and two letters where a word has no room. They must appear in no answer and in
no log line, including logged statements, and the rows must stay unchanged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone
from rest_framework.settings import api_settings

from fleet.fields import FIELDS
from fleet.fields import Kind as FieldKind
from fleet.services.indexing import Indexer
from registry.choices import Role
from tests.factories import TenantFactory
from tests.isolation.bodies import about_others, body_for
from tests.isolation.people import (
    ANONYMOUS,
    CALLERS,
    DEVICE,
    PEOPLE,
    STAFF,
    member_of,
    people_of,
)
from tests.isolation.routes import (
    KIND_OF,
    TREES,
    Kind,
    admin_path_to,
    kind_of,
    path_to,
    routes,
)
from tests.isolation.rows import Rows
from tests.isolation.walk import Fleet, Walk, everything_of, watching_logs

pytestmark = pytest.mark.django_db
T = TypeVar("T")
SECOND = timedelta(seconds=1)
PARTS = 4  # of a long walk, so that several processes can share it
METHODS = ("get", "post", "put", "patch", "delete")
# They have every right, so another tenant's object is not found instead of forbidden.
ALMIGHTY = {Role.ADMIN, "token of scope manage"}
FOR_ADMINS = {"api/v1/memberships/<membership_id>/"}
REFUSED = {400, 403, 404, 405, 409, 415}
# Everybody reads everywhere. Of the other tries an admin makes all, and each is made by
# one of the other callers too, by the next one at the next route; at full size
# everybody makes every try.
OTHERS = [name for name in CALLERS if name != Role.ADMIN]


# Routes that show no text of a tenant, even to its own people.
SHOWS_NOTHING = {
    *("/", "find/", "trust/", "api/v1/fleet/fields/"),
    "api/v1/snapshots/<snapshot_id>/difference/",  # needs another one
    "api/v1/fleet/traits/",  # nothing stands out in so small a fleet
    "api/v1/fleet/changes/",  # needs two moments
    "api/v1/reports/sla/",  # needs a device that was active for a while
    *("api/v1/tokens/", "api/v1/devices/<uid>/credentials/"),
    "api/v1/firmware-releases/<release_id>/file/",  # its row names a missing file
}
# Besides a plain request and a search for the word: other queries that could reveal it.
# A key of a document is the tenant's own text.
PLAIN_FACETS = [f.name for f in FIELDS if f.facets and f.kind != FieldKind.JSON]
FACETS = [
    *(",".join(PLAIN_FACETS[at : at + 16]) for at in range(0, len(PLAIN_FACETS), 16)),
    "attr.{key},reported.{key},metric.{key}",
]
ALSO_ASKED = {
    "api/v1/fleet/search/": [f"q=*&limit=1&facets={names}" for names in FACETS],
    "api/v1/fleet/suggest/": ["q=attr.", "q=site:", "q=* OR tags:"],
    "api/v1/fleet/export/": ["q=*", "q=*&format=ndjson", "q=*&fields=attr.{key}"],
    "fleet/export/": ["q=*&fields=uid,attr"],
    "api/v1/devices/export/": ["format=csv", "format=ndjson"],
    "api/v1/devices/<uid>/telemetry/": ["metric={key}"],
    "api/v1/devices/<uid>/timeline/": ["before=2099-01-01T00:00:00Z"],
    "devices/<uid>/story/": ["before=2099-01-01T00:00:00Z"],
}


def asked_of(route: str, rows: Rows) -> list[str]:
    return [query.format(key=rows.text) for query in ALSO_ASKED.get(route, [])]


@pytest.fixture(scope="module")
def fleet(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[Fleet]:
    """One world for all walks; their changes are undone at the end."""
    folder: Path = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(django_settings, "INDEX_DIR", folder)
        for name in api_settings.DEFAULT_THROTTLE_RATES:
            patch.setitem(api_settings.DEFAULT_THROTTLE_RATES, name, "0/min")
        with transaction.atomic():
            # Eight letters fit into a key's prefix together with a number.
            word = f"qj{token_hex(3)}"
            theirs = Rows(TenantFactory(slug=word, name=word), word, short="ꙮꙬ")
            theirs.make_all()
            ours = Rows(TenantFactory(), "ours")
            ours.make_all()
            their_admin = member_of(theirs.tenant, Role.ADMIN)
            indexer = Indexer(folder)
            indexer.open()
            indexer.drain()
            yield Fleet(ours, theirs, word, people_of(ours.tenant), their_admin)
            indexer.close()
            transaction.set_rollback(True)


@pytest.fixture
def walk_as(fleet: Fleet, counted: Counter[str]) -> Iterator[Callable[[str], Walk]]:
    """Let a caller walk; afterwards check the logs and the other tenant's rows."""
    before = everything_of(fleet.theirs)
    with watching_logs(fleet) as leaks:
        yield lambda name: Walk(fleet, name, counted, leaks)
    assert leaks.lines == []
    assert everything_of(fleet.theirs) == before


def of_kind(*kinds: Kind) -> list[str]:
    return [route for route in routes() if kind_of(route) in kinds]


def test_the_table_contains_exactly_the_routes_of_the_urlconf() -> None:
    known = set(routes())

    unclassified = sorted(route for route in known if kind_of(route) is None)
    assert unclassified == []
    assert sorted(set(KIND_OF) - known) == []
    assert [tree for tree in TREES if not any(r.startswith(tree) for r in known)] == []


@pytest.mark.parametrize("name", CALLERS)
def test_an_object_of_another_tenant_is_not_found(
    fleet: Fleet, name: str, walk_as: Callable[[str], Walk], is_long: bool
) -> None:
    walk = walk_as(name)
    for turn, route in enumerate(of_kind(Kind.OBJECT, Kind.OWN)):
        if kind_of(route) is Kind.OWN and "<" not in route:
            continue
        path = path_to(route, fleet.theirs)
        if not walk.caller.comes_to(path):
            continue
        writes = tries_of(name, METHODS[1:], turn=turn, is_long=is_long)
        for method in ("get", *writes):
            walk.expect(allowed_for(name, route, method), method, path, body_for(route))

    assert walk.wrong == []


def tries_of(name: str, tries: Sequence[T], *, turn: int, is_long: bool) -> Sequence[T]:
    """Return which of these a caller tries at the route whose turn it is."""
    if is_long or name == Role.ADMIN:
        return tries
    return tries[(OTHERS.index(name) + turn) % len(OTHERS) :: len(OTHERS)]


def allowed_for(name: str, route: str, method: str) -> set[int]:
    if route.startswith("api/") and name in (ANONYMOUS, DEVICE):
        return {401}
    is_read = method == "get" and route not in FOR_ADMINS
    if name in ALMIGHTY or (is_read and name in PEOPLE):
        return {404, 405}
    return {403, 404, 405}


def searches(path: str, begin: str) -> list[str]:
    """Return queries for a word; an API refuses a parameter that it does not know."""
    each = [f"q={begin}*", f"search={begin}", f"uid={begin}", f"text={begin}"]
    return each if path.startswith("/api/") else ["&".join(each)]


@pytest.mark.parametrize("name", CALLERS)
def test_lists_and_searches_show_nothing_of_another_tenant(
    fleet: Fleet, name: str, walk_as: Callable[[str], Walk], is_long: bool
) -> None:
    walk = walk_as(name)
    begin = fleet.word[:-2]  # not the whole word, because forms repeat the query
    for turn, route in enumerate(of_kind(Kind.MANY)):
        path = path_to(route, fleet.ours)
        if not walk.caller.comes_to(path):
            continue
        # Some need a search, or two moments; others do not know the parameters.
        now = timezone.now()
        moments = urlencode({"from": (now - SECOND).isoformat(), "to": now.isoformat()})
        queries = ("?q=*", "", f"?q=*&{moments}")
        answers = [walk.ask("get", path + query) for query in queries]
        if name == Role.ADMIN and all(
            code >= 400 and code != 405 for code, _ in answers
        ):
            walk.wrong.append(("get", path, *answers[-1]))
        sampled = partial(tries_of, name, turn=turn, is_long=is_long)
        more = [*searches(path, begin), *asked_of(route, fleet.ours)]
        for query in sampled([*more, f"q=attr.{begin}:1"]):
            walk.ask("get", f"{path}?{query}")
        for method in sampled(METHODS[1:]):
            walk.ask(method, path)
        for body in sampled(list(about_others(route, fleet.theirs))):
            status, text = walk.ask("post", path, body)
            if status < 300:
                walk.wrong.append(("post", path, status, text))

    assert walk.wrong == []


def test_the_endpoints_show_the_word_to_its_own_people(
    fleet: Fleet,
) -> None:
    """Otherwise an answer without the word would prove nothing."""
    silent = set()
    for route in of_kind(Kind.MANY, Kind.OBJECT):
        path = path_to(route, fleet.theirs)
        queries = ["", "q=*", *asked_of(route, fleet.theirs)]
        answers = [fleet.their_admin.ask("get", f"{path}?{query}") for query in queries]
        if answers[0].status_code == 405:
            continue
        shows = {
            query: fleet.word in answer.getvalue().decode()
            for query, answer in zip(queries, answers, strict=True)
        }
        plain = any([shows.pop(""), shows.pop("q=*")])
        silent |= {f"{route}?{query}" for query, shown in shows.items() if not shown}
        silent |= set() if plain or shows else {route}

    assert silent == SHOWS_NOTHING


def test_the_walk_logs_statements(fleet: Fleet, walk_as: Callable[[str], Walk]) -> None:
    walk = walk_as(Role.ADMIN)
    line_count = walk.leaks.line_count

    walk.ask("get", "/api/v1/devices/")

    assert walk.leaks.line_count > line_count


@pytest.mark.parametrize("name", CALLERS)
def test_admin_and_platform_refuse_every_member_of_a_tenant(
    fleet: Fleet, name: str, walk_as: Callable[[str], Walk], is_long: bool
) -> None:
    walk = walk_as(name)
    for turn, route in enumerate(of_kind(Kind.ADMIN)):
        if not walk.caller.comes_to("/admin/"):
            break
        # All who are not staff are refused in the same place, whatever their role.
        writes = METHODS[1:] if name in (ANONYMOUS, Role.ADMIN) else METHODS[1:2]
        for method in ("get", *tries_of(name, writes, turn=turn, is_long=is_long)):
            walk.expect(REFUSED, method, admin_path_to(route, fleet.theirs))
    for route in of_kind(Kind.PLATFORM):
        for method in METHODS:
            walk.expect({401, *REFUSED}, method, f"/{route}")

    assert walk.wrong == []


@pytest.mark.parametrize("part", range(PARTS))
def test_a_tenants_staff_find_nothing_of_another_tenant_in_the_admin(
    fleet: Fleet, part: int, walk_as: Callable[[str], Walk]
) -> None:
    walk = walk_as(STAFF)
    for route in of_kind(Kind.ADMIN)[part::PARTS]:
        if "logout" in route or "password" in route:
            continue
        path = admin_path_to(route, fleet.theirs)
        if "object_id" in route:
            for method in ("get", "post", "delete"):
                walk.expect({302, *REFUSED}, method, path, {"post": "yes"})
        else:
            walk.ask("get", path)
            walk.ask("get", f"{path}?q={fleet.word[:-2]}")
    for field in ("site", "product", "gateway", "batch")[part::PARTS]:
        about = f"app_label=registry&model_name=device&field_name={field}&term="
        walk.ask("get", f"/admin/autocomplete/?{about}")

    assert walk.wrong == []


@pytest.mark.parametrize("name", CALLERS)
def test_a_device_cannot_change_another_tenants_commands_and_children(
    fleet: Fleet, name: str, walk_as: Callable[[str], Walk], is_long: bool
) -> None:
    walk = walk_as(name)
    for turn, route in enumerate(of_kind(Kind.DEVICE)):
        path = path_to(route, fleet.theirs)
        is_whole = is_long or name == DEVICE
        writes = tries_of(name, METHODS[1:], turn=turn, is_long=is_whole)
        for method in ("get", *writes):
            if name != DEVICE:
                walk.expect({401}, method, path, body_for(route))
            elif "<child>" in route:
                walk.expect({403, 404, 405, 409}, method, path, body_for(route))
            else:
                walk.ask(method, path, body_for(route))

    assert walk.wrong == []


@pytest.mark.parametrize("name", CALLERS)
def test_public_and_own_pages_show_nothing_of_another_tenant(
    fleet: Fleet, name: str, walk_as: Callable[[str], Walk], is_long: bool
) -> None:
    walk = walk_as(name)
    for turn, route in enumerate(of_kind(Kind.PUBLIC, Kind.OWN, Kind.BROKER)):
        if "<" in route or "logout" in route:
            continue
        writes = METHODS[1:] if kind_of(route) is not Kind.OWN else ()
        for method in ("get", *tries_of(name, writes, turn=turn, is_long=is_long)):
            walk.ask(method, f"/{route}")

    assert walk.wrong == []
