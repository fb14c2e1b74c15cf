"""The demo fleet: what it contains, that it is loaded once, and its past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from iotplatform.local.terminal import DEMO_LOGINS
from iotplatform.simulator.demo.catalogue import BAD_BATCH, PEOPLE
from iotplatform.simulator.demo.fleet import demo_devices
from iotplatform.simulator.demo.history import load_past
from iotplatform.simulator.demo.load import load_fleet
from iotplatform.simulator.demo.places import PLACES
from iotplatform.simulator.demo.targets import demo_targets_across_tenants
from iotplatform.simulator.secrets import device_secret
from iotplatform.simulator.targets import grouped
from registry.device_secrets import verify_secret
from registry.models import (
    Credential,
    Device,
    Membership,
    Product,
    Site,
    Space,
    User,
)
from registry.selectors.places import path_of
from state.models import ConnectivityTransition, Presence, TelemetryRollup

KEY = b"0123456789abcdef0123456789abcdef"
TROUBLED = {"batch__slug": BAD_BATCH, "site__region": "East China"}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


def test_the_fleet_is_what_the_contract_says(
    db: None, tmp_path: Path, settings: Any
) -> None:
    settings.DATA_DIR = tmp_path

    call_command("load_demo", "--devices", "30")

    assert len(PLACES) == Site.objects.count() == 40
    assert len({place.region for place in PLACES}) == 6
    assert Product.objects.count() == 4
    site = Site.objects.get(tenant__slug="acme", slug="shanghai-01")
    assert (site.region, site.country) == ("East China", "CN")
    assert Site.objects.filter(tenant__slug="globex", slug="munich-01").exists()
    sensor = Product.objects.get(tenant__slug="acme", slug="sensor-s1")
    units = {metric["name"]: metric["unit"] for metric in sensor.metrics}
    assert units == {"temperature": "°C", "battery": "%"}
    assert "required" not in sensor.attributes_schema
    assert sensor.takes_commands
    assert Product.objects.filter(tenant__slug="globex", slug="meter-m1").exists()
    assert User.objects.get(username="admin").is_superuser
    roles = dict(Membership.objects.values_list("user__username", "role"))
    assert roles == {
        "manager@acme": "manager",
        "operator@acme": "operator",
        "viewer@acme": "viewer",
        "approver@acme": "approver",
        "manager@globex": "manager",
        "operator@globex": "operator",
    }
    printed = [name for name, _password, _role in DEMO_LOGINS]
    assert printed == [name for name, *_rest in PEOPLE]
    assert Device.objects.count() == 30


def test_loading_again_changes_nothing_and_a_larger_fleet_adds(
    db: None, tmp_path: Path, settings: Any
) -> None:
    settings.DATA_DIR = tmp_path
    call_command("load_demo", "--devices", "20")
    before = list(Device.objects.order_by("pk").values())
    credentials = list(Credential.objects.order_by("pk").values())

    call_command("load_demo", "--devices", "20")

    assert list(Device.objects.order_by("pk").values()) == before
    assert list(Credential.objects.order_by("pk").values()) == credentials
    call_command("load_demo", "--devices", "40")
    assert Device.objects.count() == 40


def test_the_first_site_has_rooms_and_its_trouble_a_batch(db: None) -> None:
    load_fleet(100, key=KEY)

    placed = Device.objects.filter(site__slug="shanghai-01", tenant__slug="acme")
    assert placed.count() >= 2
    assert not placed.filter(space=None).exists()
    assert path_of(Space.objects.get(slug="dock")) == "pudong/ground-floor/dock"
    troubled = [device.uid for device in demo_devices(100) if device.is_troubled]
    built = Device.objects.filter(uid__in=troubled)
    builds = built.values_list("hardware_revision__slug", "batch__slug")
    assert set(builds) == {("s1-rev-b", BAD_BATCH)}
    same = Device.objects.filter(batch__slug=BAD_BATCH)
    assert same.filter(uid__in=troubled).count() > same.count() / 2


def test_the_simulators_secret_opens_every_device_that_connects(db: None) -> None:
    load_fleet(20, key=KEY)

    credentials = list(Credential.objects.select_related("device"))
    heads = {group.head.uid for group in grouped(demo_targets_across_tenants())}

    opened = {credential.device.uid for credential in credentials}
    provisioned = Device.objects.filter(lifecycle="provisioned")
    not_installed = set(provisioned.values_list("uid", flat=True))
    assert not_installed == {"s1-000015"}
    assert opened == heads | not_installed
    for credential in credentials:
        secret = device_secret(KEY, credential.device.uid)
        assert verify_secret(secret, credential.verifier)


# Why at every moment: test_demo_past.py.
@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 12, 1, 9, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
        datetime(2028, 2, 29, 3, 30, tzinfo=UTC),
    ],
)
def test_the_past_shows_where_the_trouble_is(db: None, now: datetime) -> None:
    load_fleet(50, key=KEY)

    load_past(demo_devices(50), heard_at=None, now=now)

    counts = dict(Presence.objects.values_list("device__uid", "disconnects_72h"))
    troubled = [device.uid for device in demo_devices(50) if device.is_troubled]
    assert len(troubled) >= 3
    assert all(counts.pop(uid) >= 7 for uid in troubled)
    assert max(counts.values()) <= 4
    assert Device.objects.filter(**TROUBLED, uid__in=troubled).count() == len(troubled)
    assert not Presence.objects.filter(connectivity="online").exists()


def test_only_the_time_that_nobody_listened_is_topped_up(db: None) -> None:
    now = timezone.now()
    before = now - timedelta(hours=30)
    fleet = list(demo_devices(50))
    load_fleet(50, key=KEY)
    load_past(fleet, heard_at=None, now=before)
    known = ConnectivityTransition.objects.count()
    values = TelemetryRollup.objects.count()

    nothing = load_past(fleet, heard_at=now - timedelta(minutes=5), now=now)
    assert (nothing, TelemetryRollup.objects.count()) == (0, values)
    added = load_past(fleet, heard_at=before, now=now)

    assert added > 0
    late = ConnectivityTransition.objects.filter(at__gt=before)
    connected = Presence.objects.count()
    assert late.count() == 2 * (added + connected)
    assert ConnectivityTransition.objects.count() == known + late.count()
    assert Presence.objects.filter(disconnects_72h__gte=5).count() >= 2
    hours = TelemetryRollup.objects.filter(step=3_600, device__uid="s1-000003")
    assert hours.filter(metric="battery").count() in (102, 103)


@pytest.mark.parametrize("count", ["0", "100001"])
def test_a_fleet_of_an_impossible_size_is_refused(db: None, count: str) -> None:
    with pytest.raises(CommandError, match="must be from 1 to 100000"):
        call_command("load_demo", "--devices", count)

    assert not Device.objects.exists()
