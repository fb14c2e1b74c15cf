"""Sets of devices: registered by a fixed number of queries, all or none."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from iotplatform.common.problems import BadInput
from registry.models import Device, LifecycleMove, Product, Site, Tenant
from registry.selectors.devices import get_ingest_devices_across_tenants
from registry.services.devices import DeviceDraft, register_devices
from tests.factories import DeviceFactory


def drafts(site: Site, product: Product, *uids: str, **more: Any) -> list[DeviceDraft]:
    return [DeviceDraft(uid=uid, site=site, product=product, **more) for uid in uids]


def test_gateways_and_their_children_are_registered_in_one_set(
    acme: Tenant, site: Site, product: Product
) -> None:
    known = DeviceFactory(tenant=acme, uid="known", kind="gateway")
    given = [
        *drafts(site, product, "c-1", kind="child", gateway="new"),
        *drafts(site, product, "c-2", kind="child", gateway="known"),
        *drafts(site, product, "new", kind="gateway", lifecycle="active"),
    ]

    made = register_devices(tenant=acme, drafts=given)

    assert [row.uid for row in made] == ["c-1", "c-2", "new"]
    gateways = dict(Device.objects.values_list("uid", "gateway__uid"))
    assert gateways == {"c-1": "new", "c-2": "known", "new": None, "known": None}
    assert known.pk
    births = LifecycleMove.objects.values_list("device__uid", "moved_to")
    assert set(births) == {
        ("c-1", "provisioned"),
        ("c-2", "provisioned"),
        ("new", "active"),
    }


def test_one_wrong_draft_registers_none_and_each_error_names_its_line(
    acme: Tenant, site: Site, product: Product
) -> None:
    given = [
        *drafts(site, product, "good"),
        *drafts(site, product, "a:b", tags=["two words"]),
        *drafts(site, product, "c", kind="child", gateway="nobody"),
    ]

    with pytest.raises(BadInput) as refused:
        register_devices(tenant=acme, drafts=given)

    named = {(row["line"], row["field"]) for row in refused.value.errors}
    assert named == {(2, "uid"), (2, "tags"), (3, "gateway")}
    assert not Device.objects.exists()


def test_a_uid_twice_in_a_set_registers_none(
    acme: Tenant, site: Site, product: Product
) -> None:
    with pytest.raises(BadInput) as refused:
        register_devices(tenant=acme, drafts=drafts(site, product, "a", "b", "a"))

    assert refused.value.errors[0]["field"] == "uid"
    assert not Device.objects.exists()


def test_a_larger_set_costs_no_more_queries(
    acme: Tenant, site: Site, product: Product
) -> None:
    def cost(*uids: str) -> int:
        given = drafts(site, product, *uids)
        with CaptureQueriesContext(connection) as queries:
            register_devices(tenant=acme, drafts=given)
        return len(queries)

    assert cost(*(f"many-{n}" for n in range(200))) <= cost("a", "b")


def test_ingest_reads_many_devices_in_two_queries(
    acme: Tenant, site: Site, product: Product, django_assert_num_queries: Any
) -> None:
    uids = [f"dev-{n}" for n in range(50)]
    register_devices(tenant=acme, drafts=drafts(site, product, *uids))

    with django_assert_num_queries(2):
        found = get_ingest_devices_across_tenants([*uids, "nobody"])

    assert set(found) == set(uids)
    one = found["dev-7"]
    assert (one.tenant_id, one.lifecycle, one.adapter) == (
        acme.pk,
        "provisioned",
        "mqtt",
    )
    assert one.metrics == product.metrics
    assert one.heartbeat_seconds == 60
