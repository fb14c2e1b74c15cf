"""Every change of a document reaches the index; a heartbeat changes none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from commands.models import Command
from fleet.models import Outbox
from fleet.selectors.lag import index_lag_seconds
from fleet.services.indexing import Indexer
from registry.models import Batch, Device, HardwareRevision, Product, Site, Space
from state.models import (
    Alarm,
    MaintenancePlace,
    Presence,
    Risk,
    TelemetrySummary,
    Twin,
)
from state.services.maintenance import settle_places_across_tenants
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    ProductFactory,
    SiteFactory,
    SpaceFactory,
)
from tests.fleet.rows import (
    find,
    make_alarm,
    make_command,
    make_maintenance,
    make_presence,
    make_risk,
    make_telemetry,
    make_twin,
    uids_of,
)

pytestmark = pytest.mark.django_db


def full_device() -> Device:
    """Make a device with a row in every table that its document is built from."""
    product = ProductFactory.create(
        reported_keys=["modem.fw"],
        attributes_schema={"properties": {"rev": {"searchable": True}}},
    )
    revision = HardwareRevisionFactory.create(tenant=product.tenant, product=product)
    site = SiteFactory.create(tenant=product.tenant)
    top = SpaceFactory.create(tenant=product.tenant, site=site, slug="hq")
    SpaceFactory.create(tenant=product.tenant, site=site, slug="annex")
    device: Device = DeviceFactory.create(
        tenant=product.tenant,
        site=site,
        product=product,
        hardware_revision=revision,
        batch=BatchFactory.create(tenant=product.tenant, hardware_revision=revision),
        space=SpaceFactory.create(
            tenant=product.tenant, site=site, parent=top, slug="floor-2"
        ),
    )
    make_presence(device)
    make_twin(device, reported={"modem": {"fw": "1"}, "uptime": 5})
    make_telemetry(device, temperature=20.0)
    make_alarm(device)
    make_risk(device, 25, alarms=20, flapping=5)
    make_maintenance(device, begins=1, ends=2)
    make_command(device)
    return device


def outbox() -> set[int]:
    """Empty the outbox; return its devices."""
    waiting = set(Outbox.objects.values_list("device_id", flat=True))
    Outbox.objects.all().delete()
    return waiting


def space(slug: str) -> QuerySet[Space]:
    return Space.objects.filter(slug=slug)


def move(slug: str, parent: str | None) -> None:
    """Move a space without its service."""
    space(slug).update(parent=space(parent).get() if parent else None)


def risk_points(**points: int) -> None:
    """Give the reasons of all risks these points."""
    reasons = [{"name": n, "points": p, "text": n} for n, p in points.items()]
    Risk.objects.update(reasons=reasons)


def maintain(begins: float, *, at_site: bool) -> None:
    make_maintenance(Device.objects.get(), begins=begins, ends=3, at_site=at_site)


def settle_maintenance(hours: float) -> None:
    """Let the sweep see a later time."""
    settle_places_across_tenants(now=timezone.now() + timedelta(hours=hours))


HOUR_AGO = timezone.now() - timedelta(hours=1)

# What is written, how, and whether it changes the document.
WRITES: list[tuple[str, Callable[[], Any], bool]] = [
    ("a bulk update", lambda: Device.objects.update(name="new"), True),
    ("tags", lambda: Device.objects.update(tags=["winter"]), True),
    ("when it was edited", lambda: Device.objects.update(updated_at=HOUR_AGO), False),
    ("a region", lambda: Site.objects.update(region="North"), True),
    ("a latitude", lambda: Site.objects.update(latitude=1.5), False),
    ("a product's name", lambda: Product.objects.update(name="new"), True),
    ("leaving a space", lambda: Device.objects.update(space=None), True),
    ("a batch", lambda: Device.objects.update(batch=None), True),
    ("a space's slug", lambda: space("floor-2").update(slug="f2"), True),
    ("the slug of a space above", lambda: space("hq").update(slug="main"), True),
    ("the slug of another space", lambda: space("annex").update(slug="a"), False),
    ("a space's name", lambda: Space.objects.update(name="new"), False),
    ("a space's move", lambda: move("floor-2", None), True),
    ("the move of a space above", lambda: move("hq", "annex"), True),
    ("a revision's slug", lambda: HardwareRevision.objects.update(slug="r"), True),
    ("a revision's notes", lambda: HardwareRevision.objects.update(notes="r"), False),
    ("a batch's slug", lambda: Batch.objects.update(slug="b"), True),
    (
        "a heartbeat interval",
        lambda: Product.objects.update(heartbeat_seconds=5),
        False,
    ),
    ("connectivity", lambda: Presence.objects.update(connectivity="offline"), True),
    (
        "an activity hour",
        lambda: Presence.objects.update(activity_bucket=HOUR_AGO),
        True,
    ),
    (
        "a heartbeat",
        lambda: Presence.objects.update(
            last_seen_at=HOUR_AGO, last_activity_at=HOUR_AGO, seq_high=7, repeats=1
        ),
        False,
    ),
    ("firmware", lambda: Twin.objects.update(firmware="1.4.2"), True),
    ("drift", lambda: Twin.objects.update(delta={"a": 1}), True),
    (
        "a declared reported key",
        lambda: Twin.objects.update(reported={"modem": {"fw": "2"}, "uptime": 5}),
        True,
    ),
    (
        "another reported key",
        lambda: Twin.objects.update(reported={"modem": {"fw": "1"}, "uptime": 6}),
        False,
    ),
    ("desired", lambda: Twin.objects.update(desired={"a": 1}), False),
    ("a metric", lambda: TelemetrySummary.objects.update(indexed={"t": 1}), True),
    (
        "a metric within its band",
        lambda: TelemetrySummary.objects.update(latest={"t": {"value": 1}}),
        False,
    ),
    ("a risk", lambda: Risk.objects.update(score=7), True),
    (
        "a risk's reason",
        lambda: Risk.objects.update(reasons=[{"name": "x", "text": "x"}]),
        True,
    ),
    (
        "the text of a risk's reason",
        lambda: Risk.objects.update(
            reasons=[
                {"name": "alarms", "points": 20, "text": "more"},
                {"name": "flapping", "points": 5, "text": "more"},
            ]
        ),
        False,
    ),
    (
        "points that moved within a risk",
        lambda: risk_points(alarms=10, flapping=15),
        True,
    ),
    ("maintenance announced", lambda: maintain(1, at_site=False), False),
    ("maintenance of the device", lambda: maintain(-1, at_site=False), True),
    ("maintenance of the site", lambda: maintain(-1, at_site=True), True),
    (
        "maintenance moved to now",
        lambda: MaintenancePlace.objects.update(from_at=HOUR_AGO),
        True,
    ),
    ("maintenance that begins by the clock", lambda: settle_maintenance(1.5), True),
    ("time before maintenance", lambda: settle_maintenance(0.5), False),
    ("maintenance withdrawn", lambda: MaintenancePlace.objects.all().delete(), False),
    ("an alarm's end", lambda: Alarm.objects.update(state="cleared"), True),
    ("an alarm's repeat", lambda: Alarm.objects.update(count=9), False),
    ("an alarm's removal", lambda: Alarm.objects.all().delete(), True),
    ("an acknowledgement", lambda: Command.objects.update(received_at=HOUR_AGO), True),
    ("a claim", lambda: Command.objects.update(claimed_until=HOUR_AGO), False),
]


@pytest.mark.parametrize(
    ("write", "is_in_document"),
    [row[1:] for row in WRITES],
    ids=[row[0] for row in WRITES],
)
def test_a_write_fills_the_outbox_exactly_when_it_changes_the_document(
    write: Callable[[], Any], is_in_document: bool
) -> None:
    device = full_device()
    outbox()

    write()

    assert outbox() == ({device.pk} if is_in_document else set())


def test_raw_sql_and_bulk_creation_reach_the_index(indexer: Indexer) -> None:
    first = DeviceFactory.create(name="old")
    tenant = first.tenant
    second = Device(
        tenant=tenant, uid="bulk", site=first.site, product=first.product, name="bulk"
    )
    Device.objects.bulk_create([second])

    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_device SET name = 'raw' WHERE uid <> 'bulk'")
    indexer.drain()

    assert uids_of(tenant, "name:raw") == [first.uid]
    assert uids_of(tenant, "name:bulk") == ["bulk"]


def test_a_deleted_device_leaves_the_index(indexer: Indexer) -> None:
    device = DeviceFactory.create()
    indexer.drain()
    tenant = device.tenant

    Device.objects.filter(pk=device.pk).delete()
    indexer.drain()

    assert find(tenant, "*").total == 0


def test_renaming_a_gateway_queues_its_children_too(
    indexer: Indexer,
) -> None:
    gateway = DeviceFactory.create(kind="gateway")
    child = DeviceFactory.create(
        tenant=gateway.tenant, site=gateway.site, kind="child", gateway=gateway
    )
    outbox()

    Device.objects.filter(pk=gateway.pk).update(uid="renamed")

    assert outbox() == {gateway.pk, child.pk}


def test_a_role_without_rights_on_the_outbox_fills_it_by_the_trigger() -> None:
    device = full_device()
    outbox()

    with connection.cursor() as cursor:
        cursor.execute("REVOKE INSERT ON fleet_outbox FROM iot_web")
        cursor.execute("SET LOCAL ROLE iot_web")
        cursor.execute(f"SET LOCAL iot.tenants = '{device.tenant_id}'")
        cursor.execute("UPDATE registry_device SET name = 'by the web'")
        cursor.execute("RESET ROLE")

    assert outbox() == {device.pk}


def test_a_rolled_back_change_leaves_the_outbox_empty() -> None:
    device = full_device()
    outbox()

    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before")
        Device.objects.filter(pk=device.pk).update(name="never")
        cursor.execute("ROLLBACK TO before")

    assert outbox() == set()


def test_the_lag_is_the_age_of_the_oldest_waiting_change(indexer: Indexer) -> None:
    idle = index_lag_seconds()
    Outbox.objects.create(device_id=1, at=timezone.now() - timedelta(seconds=90))
    waiting = index_lag_seconds()
    indexer.drain()

    assert idle == 0.0
    assert 90 <= waiting < 100
    assert index_lag_seconds() == 0.0
