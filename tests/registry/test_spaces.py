"""The tree of spaces: the database writes paths and refuses loops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from iotplatform.common.problems import BadInput
from registry.models import Site, Space, Tenant
from registry.services.spaces import update_space
from tests.factories import DeviceFactory, SiteFactory, SpaceFactory
from tests.registry.conftest import fields_of

URL = "/api/v1/spaces/"


@pytest.fixture
def tree(acme: Tenant, site: Site) -> Callable[..., dict[str, Space]]:
    """Return a function that makes spaces from paths, the outer ones first."""

    def make(*paths: str) -> dict[str, Space]:
        made: dict[str, Space] = {}
        for path in paths:
            above, _, slug = path.rpartition("/")
            parent = made[above.rpartition("/")[2]] if above else None
            made[slug] = SpaceFactory(tenant=acme, site=site, slug=slug, parent=parent)
        return made

    return make


def paths_of(client: APIClient, **filters: str) -> list[str]:
    """Return the paths that a client sees."""
    return sorted(row["path"] for row in client.get(URL, filters).json()["results"])


def test_a_space_has_the_path_to_it(
    manager: APIClient, tree: Callable[..., dict[str, Space]]
) -> None:
    tree("hq", "hq/floor-2", "hq/floor-2/room-7", "annex")

    assert paths_of(manager) == ["annex", "hq", "hq/floor-2", "hq/floor-2/room-7"]
    assert paths_of(manager, under="floor-2") == ["hq/floor-2", "hq/floor-2/room-7"]
    assert paths_of(manager, under="hq/floor-2") == paths_of(manager, under="floor-2")
    assert paths_of(manager, under="nowhere") == []
    assert paths_of(manager, parent="hq") == ["hq/floor-2"]
    assert paths_of(manager, site="elsewhere") == []


def test_moving_a_space_moves_the_spaces_below(
    manager: APIClient, tree: Callable[..., dict[str, Space]]
) -> None:
    tree("hq", "hq/floor-2", "hq/floor-2/room-7", "annex")

    moved = manager.patch(f"{URL}floor-2/", {"parent": "annex"}, format="json")
    under_annex = paths_of(manager, under="annex")
    freed = manager.patch(f"{URL}floor-2/", {"parent": None}, format="json")

    assert (moved.status_code, moved.json()["path"]) == (200, "annex/floor-2")
    assert under_annex == ["annex", "annex/floor-2", "annex/floor-2/room-7"]
    assert freed.json()["path"] == "floor-2"
    assert paths_of(manager) == ["annex", "floor-2", "floor-2/room-7", "hq"]


def test_a_rename_renames_it_in_the_paths_below(
    manager: APIClient, tree: Callable[..., dict[str, Space]]
) -> None:
    tree("hq", "hq/floor-2")

    manager.patch(f"{URL}hq/", {"slug": "main"}, format="json")

    assert paths_of(manager) == ["main", "main/floor-2"]


@pytest.mark.parametrize("parent", ["hq", "floor-2", "room-7"])
def test_a_space_is_not_put_inside_itself(
    manager: APIClient, tree: Callable[..., dict[str, Space]], parent: str
) -> None:
    tree("hq", "hq/floor-2", "hq/floor-2/room-7")
    before = paths_of(manager)

    answer = manager.patch(f"{URL}hq/", {"parent": parent}, format="json")

    assert answer.status_code == 400
    assert fields_of(answer) == {"parent"}
    assert paths_of(manager) == before


def test_a_parent_is_at_the_same_site_and_the_site_stays(
    manager: APIClient, acme: Tenant, tree: Callable[..., dict[str, Space]]
) -> None:
    tree("hq")
    SpaceFactory(tenant=acme, site=SiteFactory(tenant=acme, slug="far"), slug="there")

    parent = manager.patch(f"{URL}hq/", {"parent": "there"}, format="json")
    site = manager.patch(f"{URL}hq/", {"site": "far"}, format="json")

    assert (parent.status_code, fields_of(parent)) == (400, {"parent"})
    assert (site.status_code, fields_of(site)) == (400, {"site"})


def test_raw_sql_cannot_forge_a_path_or_close_a_loop(
    manager: APIClient, tree: Callable[..., dict[str, Space]]
) -> None:
    made = tree("hq", "hq/floor-2", "hq/floor-2/room-7", "annex")

    run("UPDATE registry_space SET path = '1.2.3'")
    # Both at once: the inner space moves out, and the outer one into it.
    run(
        "UPDATE registry_space SET parent_id = CASE slug WHEN 'hq' THEN %s END"
        " WHERE slug IN ('hq', 'floor-2')",
        made["room-7"].pk,
    )
    with pytest.raises(IntegrityError, match="inside itself"), transaction.atomic():
        run(
            "UPDATE registry_space SET parent_id = CASE slug WHEN 'hq' THEN %s::int"
            " ELSE %s END WHERE slug IN ('hq', 'annex')",
            made["annex"].pk,
            made["hq"].pk,
        )

    assert paths_of(manager) == [
        *("annex", "floor-2", "floor-2/room-7", "floor-2/room-7/hq"),
    ]


def test_bulk_creation_gets_its_paths_too(
    manager: APIClient, acme: Tenant, tree: Callable[..., dict[str, Space]]
) -> None:
    top = tree("hq")["hq"]
    floors = [
        Space(tenant=acme, site=top.site, parent=top, slug=f"f{n}", name="")
        for n in range(3)
    ]

    Space.objects.bulk_create(floors)

    assert paths_of(manager) == ["hq", "hq/f0", "hq/f1", "hq/f2"]


def test_devices_are_found_by_a_space_above_their_own(
    manager: APIClient, acme: Tenant, tree: Callable[..., dict[str, Space]]
) -> None:
    made = tree("hq", "hq/floor-2", "annex")
    for slug in ("floor-2", "annex"):
        space = made[slug]
        DeviceFactory(tenant=acme, site=space.site, space=space, uid=f"in-{slug}")

    found = manager.get("/api/v1/devices/", {"space": "hq"}).json()["results"]

    assert [row["uid"] for row in found] == ["in-floor-2"]
    assert found[0]["space"] == "floor-2"


def test_a_space_with_others_in_it_is_not_deleted(
    manager: APIClient, tree: Callable[..., dict[str, Space]]
) -> None:
    tree("hq", "hq/floor-2")

    assert manager.delete(f"{URL}hq/").status_code == 409
    assert manager.delete(f"{URL}floor-2/").status_code == 204
    assert manager.delete(f"{URL}hq/").status_code == 204


@pytest.mark.django_db(transaction=True)
def test_two_moves_at_once_make_no_loop(
    acme: Tenant, tree: Callable[..., dict[str, Space]]
) -> None:
    made = tree("a", "b")
    start = threading.Barrier(2)
    outcomes: list[Any] = []

    def move(slug: str, parent: str) -> None:
        try:
            start.wait()
            update_space(made[slug], parent=made[parent])
            outcomes.append("moved")
        except BadInput as refusal:
            outcomes.append(refusal.errors[0]["field"])
        finally:
            connection.close()

    threads = [threading.Thread(target=move, args=pair) for pair in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["moved", "parent"]


def run(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
