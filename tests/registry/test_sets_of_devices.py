"""Moves and tags of many devices at once: a few statements, whatever the size."""

from __future__ import annotations

from typing import Any

import pytest

from iotplatform.common.problems import BadInput
from registry.choices import Lifecycle
from registry.models import AuditEntry, Credential, Device, LifecycleMove, Tenant
from registry.services.lifecycle import move_devices
from registry.services.tags import edit_tags
from tests.acting import acting
from tests.factories import DeviceFactory, UserFactory


def ids_of(devices: list[Device]) -> list[int]:
    return [device.pk for device in devices]


def test_devices_that_may_move_do_and_the_others_stay_with_a_reason(
    acme: Tenant, globex: Tenant
) -> None:
    active = DeviceFactory.create_batch(3, tenant=acme)
    gone = DeviceFactory(tenant=acme, uid="gone", lifecycle=Lifecycle.RETIRED)
    theirs = DeviceFactory(tenant=globex)
    Credential.objects.create(tenant=acme, device=active[0], verifier="x")
    person = UserFactory(username="paul@acme")

    with acting(person):
        moved = move_devices(
            tenants=[acme],
            device_ids=ids_of([*active, gone, theirs]),
            to="retired",
            reason="end of life",
            actor=person,
        )

    assert ids_of(moved.devices) == ids_of(active)
    assert moved.refused == {
        "gone": "A device that is retired cannot become retired; it may become:"
        " provisioned."
    }
    theirs.refresh_from_db()
    assert theirs.lifecycle == "active"
    assert not Credential.objects.filter(revoked_at__isnull=True).exists()
    records = LifecycleMove.objects.values_list("moved_to", "reason", "actor__username")
    assert set(records) == {("retired", "end of life", "paul@acme")}
    assert AuditEntry.objects.filter(kind="device", actor="paul@acme").count() == 3


def test_a_set_costs_the_same_for_few_and_for_many(
    acme: Tenant, django_assert_max_num_queries: Any
) -> None:
    template = DeviceFactory(tenant=acme)
    Device.objects.bulk_create(
        Device(
            uid=f"n-{n}",
            tenant=acme,
            site=template.site,
            product=template.product,
            lifecycle=Lifecycle.ACTIVE,
        )
        for n in range(500)
    )
    ids = list(Device.objects.values_list("pk", flat=True))

    with django_assert_max_num_queries(8):
        moved = move_devices(tenants=[acme], device_ids=ids, to="in_repair")
    with django_assert_max_num_queries(5):
        changed = edit_tags(tenants=[acme], device_ids=ids, add=["winter"])

    assert len(moved.devices) == len(changed) == 501


@pytest.mark.parametrize("to", ["dead", "replaced"])
def test_a_set_is_not_moved_to_an_unknown_lifecycle(acme: Tenant, to: str) -> None:
    with pytest.raises(BadInput):
        move_devices(tenants=[acme], device_ids=[], to=to)


def test_tags_are_added_and_removed_and_keep_their_order(
    acme: Tenant, globex: Tenant
) -> None:
    one = DeviceFactory(tenant=acme, tags=["b", "a"])
    two = DeviceFactory(tenant=acme, tags=["c", "new"])
    same = DeviceFactory(tenant=acme, tags=["new"])
    theirs = DeviceFactory(tenant=globex, tags=["a"])

    changed = edit_tags(
        tenants=[acme],
        device_ids=ids_of([one, two, same, theirs]),
        add=["new"],
        remove=["a", "c"],
    )

    assert changed == ids_of([one, two])
    tags = [Device.objects.get(pk=row.pk).tags for row in (one, two, same, theirs)]
    assert tags == [["b", "new"], ["new"], ["new"], ["a"]]


@pytest.mark.parametrize(
    ("add", "remove", "field"),
    [
        (["a b\x00"], [], "add"),
        ([], [""], "remove"),
        (["x"], ["x"], "remove"),
        ([f"t{n}" for n in range(51)], [], "add"),
    ],
)
def test_wrong_tags_are_named_and_change_nothing(
    acme: Tenant, add: list[str], remove: list[str], field: str
) -> None:
    device = DeviceFactory(tenant=acme, tags=["keep"])

    with pytest.raises(BadInput) as refusal:
        edit_tags(tenants=[acme], device_ids=[device.pk], add=add, remove=remove)

    assert field in {row["field"] for row in refusal.value.errors}
    device.refresh_from_db()
    assert device.tags == ["keep"]
