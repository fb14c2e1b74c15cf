"""Alarm rules and maintenance windows in the admin, written by their services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from registry.choices import Role
from registry.models import AuditEntry, Product, Tenant
from state.models import AlarmRule, MaintenancePlace, MaintenanceWindow
from tests.admin.pages import url_of
from tests.admin.people import staff_of
from tests.factories import DeviceFactory, ProductFactory, SiteFactory, TenantFactory
from tests.fleet.rows import make_alarm
from tests.state.scene import announce

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Tenant:
    return TenantFactory(slug="acme")


@pytest.fixture
def manager(acme: Tenant) -> Client:
    return staff_of(acme, Role.MANAGER)


# The places of a change page's form, none of which can be changed.
NO_PLACES = {f"-1-{n}_FORMS": "0" for n in ("TOTAL", "INITIAL")}


def rule_form(product: Product, **changes: Any) -> dict[str, Any]:
    return {
        **{"tenant": product.tenant_id, "product": product.pk, "name": "Too hot"},
        **{"metric": "temperature", "comparison": ">", "threshold": "40"},
        **{"hysteresis": "1", "hold_seconds": "60", "severity": "warning"},
        **{"code": "too-hot", "enabled": "on", **changes},
    }


def errors_of(answer: Any) -> set[str]:
    return set(answer.context["adminform"].form.errors)


def test_a_rule_is_written_changed_and_removed(manager: Client, acme: Tenant) -> None:
    product = ProductFactory(tenant=acme)

    manager.post(url_of(AlarmRule, "add"), rule_form(product))
    rule = AlarmRule.objects.get()
    one = url_of(AlarmRule, "change", rule.pk)
    manager.post(one, rule_form(product, threshold="50", enabled=""))
    changed = AlarmRule.objects.get()
    manager.post(url_of(AlarmRule, "delete", rule.pk), {"post": "yes"})

    assert (rule.threshold, rule.hold_seconds, rule.enabled) == (40, 60, True)
    assert (changed.threshold, changed.enabled) == (50, False)
    assert not AlarmRule.objects.exists()
    log = AuditEntry.objects.filter(kind="alarm_rule", door="admin")
    assert sorted(log.values_list("action", flat=True)) == [
        "changed",
        "created",
        "deleted",
    ]


def test_the_alarms_of_a_rule_that_is_switched_off_are_cleared(
    manager: Client, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    manager.post(url_of(AlarmRule, "add"), rule_form(device.product))
    rule = AlarmRule.objects.get()
    alarm = make_alarm(device, code="too-hot", rule=rule)
    one = url_of(AlarmRule, "change", rule.pk)

    manager.post(one, rule_form(device.product, enabled=""))

    alarm.refresh_from_db()
    assert alarm.state == "cleared"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"threshold": "nan"}, "threshold"),
        ({"hysteresis": "-1"}, "hysteresis"),
        ({"hold_seconds": "604801"}, "hold_seconds"),
        ({"code": "too hot"}, "code"),
        ({"comparison": "?"}, "comparison"),
        ({"product": "theirs"}, "product"),
    ],
)
def test_an_invalid_rule_is_refused(
    manager: Client, acme: Tenant, change: dict[str, str], field: str
) -> None:
    product, theirs = ProductFactory(tenant=acme), ProductFactory()
    if change == {"product": "theirs"}:
        change = {"product": str(theirs.pk)}

    answer = manager.post(url_of(AlarmRule, "add"), rule_form(product) | change)

    assert errors_of(answer) == {field}
    assert not AlarmRule.objects.exists()


def test_a_second_rule_with_the_same_code_is_refused(
    manager: Client, acme: Tenant
) -> None:
    product = ProductFactory(tenant=acme)
    for code in ("too-hot", "hotter"):
        manager.post(url_of(AlarmRule, "add"), rule_form(product, code=code))
    one = url_of(AlarmRule, "change", AlarmRule.objects.get(code="hotter").pk)

    again = manager.post(url_of(AlarmRule, "add"), rule_form(product))
    taken = manager.post(one, rule_form(product, code="too-hot"), follow=True)

    assert "already exists" in again.content.decode()
    assert "The product already has a rule with this code." in taken.content.decode()
    assert AlarmRule.objects.count() == 2


def test_a_limited_manager_reads_rules_and_writes_none(
    manager: Client, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    manager.post(url_of(AlarmRule, "add"), rule_form(device.product))
    rule = AlarmRule.objects.get()
    limited = staff_of(acme, Role.MANAGER, device.site)

    assert limited.get(url_of(AlarmRule, "change", rule.pk)).status_code == 200
    form = rule_form(device.product, threshold="50")
    for page in ("change", "delete"):
        answer = limited.post(url_of(AlarmRule, page, rule.pk), form | {"post": "yes"})
        assert answer.status_code == 403
    assert limited.post(url_of(AlarmRule, "add"), form).status_code == 403
    rule.refresh_from_db()
    assert rule.threshold == 40


def window_form(**given: Any) -> dict[str, Any]:
    form = {"reason": "new roof", **given}
    now = timezone.localtime()
    for name, hours in (("from_at", 0), ("until", form.pop("hours", 2))):
        at = now + timedelta(hours=hours)
        form |= {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}
    return form


def test_maintenance_is_announced_moved_and_cancelled(
    manager: Client, acme: Tenant
) -> None:
    device, other = DeviceFactory.create_batch(2, tenant=acme)
    form = window_form(tenant=acme.pk, devices=[device.pk, other.pk])

    manager.post(url_of(MaintenanceWindow, "add"), form)
    window = MaintenanceWindow.objects.get()
    one = url_of(MaintenanceWindow, "change", window.pk)
    at = {place.device for place in MaintenancePlace.objects.all()}
    manager.post(one, window_form(reason="new floor", hours=3) | NO_PLACES)
    moved = MaintenanceWindow.objects.get()
    manager.post(url_of(MaintenanceWindow, "delete", window.pk), {"post": "yes"})

    assert window.created_by is not None
    assert moved.reason == "new floor"
    assert at == {device, other}
    assert moved.until - window.until >= timedelta(minutes=59)
    assert not MaintenanceWindow.objects.exists()


def test_maintenance_of_no_place_too_many_or_other_tenants_is_refused(
    manager: Client, acme: Tenant
) -> None:
    device, site, theirs = DeviceFactory(tenant=acme), SiteFactory(tenant=acme), None
    theirs = DeviceFactory()
    add = url_of(MaintenanceWindow, "add")
    own = {"tenant": acme.pk}

    tries = [
        manager.post(add, window_form(**own)),
        manager.post(add, window_form(**own, devices=[device.pk], sites=[site.pk])),
        manager.post(add, window_form(**own, devices=[theirs.pk])),
        manager.post(add, window_form(**own, devices=[device.pk], hours=-1)),
    ]

    assert [errors_of(answer) for answer in tries] == [
        *({"devices"}, {"devices"}, {"devices"}, {"until"})
    ]
    assert not MaintenanceWindow.objects.exists()


def test_a_search_by_uid_finds_the_rows_of_that_device(
    manager: Client, acme: Tenant
) -> None:
    near, far = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)
    theirs = DeviceFactory()
    now = timezone.now()
    at_near, at_far, at_theirs = (
        announce(device, begin=now, end=now + timedelta(hours=1))
        for device in (near, far, theirs)
    )

    def found(text: Any) -> set[MaintenanceWindow]:
        page = manager.get(url_of(MaintenanceWindow, "changelist"), {"q": text})
        return set(page.context["cl"].result_list)

    assert found(near.uid) == {at_near}
    assert found(theirs.uid) == set()
    assert found(at_far.public_id) == {at_far}
    assert found(at_theirs.public_id) == set()
