"""The audit log: whose changes are logged, with what, and that entries stay."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction

from registry.choices import Lifecycle
from registry.models import ApiToken, AuditEntry, Credential, Device, Tenant, User
from registry.services.tokens import create_token
from tests.acting import acting
from tests.factories import DeviceFactory, ProductFactory, SiteFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return UserFactory(username="paul@acme")


def entries(kind: str = "device") -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(kind=kind).order_by("pk"))


def test_a_change_is_logged_with_actor_time_and_changed_columns(
    acme: Tenant, person: User
) -> None:
    device = DeviceFactory(tenant=acme, uid="dev-1", name="old")
    token, _ = create_token(user=person, name="script", scopes=["manage"])

    with acting(person, token=token, door="rest"):
        device.name = "new"
        device.save()

    (entry,) = entries()
    assert entry.action == "changed"
    assert (entry.before, entry.after) == ({"name": "old"}, {"name": "new"})
    assert (entry.tenant, entry.user, entry.token) == (acme, person, token)
    assert (entry.actor, entry.token_name, entry.door) == (
        "paul@acme",
        "script",
        "rest",
    )
    assert (entry.object_id, entry.object_name) == (str(device.public_id), "dev-1")
    assert (entry.device_id, entry.site_id) == (device.pk, device.site_id)
    assert entry.public_id.version == 7


def test_bulk_updates_and_raw_sql_are_logged_too(acme: Tenant, person: User) -> None:
    devices = [DeviceFactory(tenant=acme) for _ in range(3)]

    with acting(person):
        Device.objects.filter(tenant=acme).update(lifecycle=Lifecycle.IN_REPAIR)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE registry_device SET tags = '{winter}'")
        Device.objects.filter(pk=devices[0].pk).delete()

    found = entries()
    assert [entry.action for entry in found] == ["changed"] * 6 + ["deleted"]
    assert found[0].before == {"lifecycle": "active"}
    assert found[3].after == {"tags": ["winter"]}
    assert found[6].before is not None
    assert found[6].before["uid"] == devices[0].uid
    assert found[6].after is None


def test_a_change_without_an_actor_leaves_no_entry(acme: Tenant) -> None:
    device = DeviceFactory(tenant=acme)
    Device.objects.filter(pk=device.pk).update(name="by a sweep")

    with acting(None, door="device"):
        Device.objects.filter(pk=device.pk).update(name="by itself")
    assert entries() == []

    with acting(None, door="command"):
        Device.objects.filter(pk=device.pk).update(name="by a command")
    assert [entry.door for entry in entries()] == ["command"]


def test_automatic_columns_alone_make_no_entry(acme: Tenant, person: User) -> None:
    device = DeviceFactory(tenant=acme)
    token, _ = create_token(user=person, name="x", scopes=["read"])

    with acting(person):
        device.save()  # updated_at alone
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=device.updated_at)
        User.objects.filter(pk=person.pk).update(last_login=device.updated_at)

    assert not AuditEntry.objects.exists()


def test_a_changed_secret_is_logged_without_its_value(
    acme: Tenant, person: User
) -> None:
    device = DeviceFactory(tenant=acme, uid="dev-1")

    with acting(person):
        Credential.objects.create(tenant=acme, device=device, verifier="$7$hidden")
        create_token(user=person, name="x", scopes=["read"])
        person.set_password("hidden-too")
        person.save()

    entries_made = AuditEntry.objects.order_by("pk")
    assert [entry.kind for entry in entries_made] == ["credential", "api_token", "user"]
    assert entries_made[0].object_name == "dev-1"
    assert (
        entries_made[2].before == {"password": "(not shown)"} == entries_made[2].after
    )
    digest = ApiToken.objects.get().digest
    for entry in entries_made:
        text = f"{entry.before} {entry.after}"
        assert not any(s in text for s in ("$7$", digest, person.password))


def test_a_transfer_is_logged_in_both_tenants_each_with_its_own_side(
    acme: Tenant, globex: Tenant, person: User
) -> None:
    device = DeviceFactory(tenant=acme)
    before = {"site_id": device.site_id, "product_id": device.product_id}
    site, product = SiteFactory(tenant=globex), ProductFactory(tenant=globex)

    with acting(person):
        rows = Device.objects.filter(pk=device.pk)
        rows.update(tenant=globex, site=site, product=product)

    left, came = sorted(entries(), key=lambda entry: entry.tenant != acme)
    assert (left.tenant, left.site_id) == (acme, before["site_id"])
    assert (left.before, left.after) == ({"tenant_id": acme.pk} | before, {})
    assert (came.tenant, came.site_id) == (globex, site.pk)
    assert came.before == {}
    after = {"site_id": site.pk, "product_id": product.pk}
    assert came.after == {"tenant_id": globex.pk} | after


def test_every_row_of_a_statement_over_many_has_its_entry(
    acme: Tenant, person: User
) -> None:
    template = DeviceFactory(tenant=acme)
    rows = [
        Device(uid=f"many-{n}", tenant=acme, site=template.site, product_id=product)
        for product in [template.product_id]
        for n in range(2_000)
    ]

    with acting(person):
        Device.objects.bulk_create(rows)

    assert AuditEntry.objects.filter(kind="device", action="created").count() == 2_000


@transaction.atomic
def run_as(role: str, statement: str) -> None:
    with connection.cursor() as cursor:
        # Test databases have this trigger off, so that tests can clean up.
        cursor.execute(
            "ALTER TABLE registry_auditentry"
            " ENABLE ALWAYS TRIGGER registry_audit_keep_all"
        )
        if role != "owner":
            cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute(statement)


@pytest.mark.parametrize("role", ["owner", "iot_web"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE registry_auditentry SET actor = 'nobody'",
        "DELETE FROM registry_auditentry",
        "TRUNCATE registry_auditentry",
        "SET LOCAL session_replication_role = replica; DELETE FROM registry_auditentry",
    ],
)
def test_the_log_is_append_only_for_every_role(
    acme: Tenant, person: User, role: str, statement: str
) -> None:
    with acting(person):
        DeviceFactory(tenant=acme)
    before = AuditEntry.objects.count()

    with pytest.raises(ProgrammingError):
        run_as(role, statement)

    assert AuditEntry.objects.count() == before > 0


def test_no_platform_role_may_write_the_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, right_ FROM pg_roles,"
            " unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS right_"
            " WHERE rolname LIKE 'iot\\_%%' AND NOT rolsuper"
            " AND has_table_privilege(rolname, 'registry_auditentry', right_)"
        )
        may: list[Any] = cursor.fetchall()

    assert may == []


def test_changes_by_the_web_role_write_entries(acme: Tenant, person: User) -> None:
    device = DeviceFactory(tenant=acme)

    with acting(person), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE iot_web")
            cursor.execute("SELECT set_config('iot.tenants', %s, true)", [str(acme.pk)])
        Device.objects.filter(pk=device.pk).update(name="new")
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")

    assert [entry.after for entry in entries()] == [{"name": "new"}]
