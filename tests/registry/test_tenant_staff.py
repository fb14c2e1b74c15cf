"""A tenant's staff in the admin: only their own rows, within their limits."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from iotplatform.common.admin import ReadOnly
from registry.choices import Lifecycle, Role
from registry.models import Device, Membership, MembershipLimit, Site, Tenant, User
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
PLATFORMS = {
    *("User", "ApiToken", "EmailAddress", "Authenticator", "UserSession"),
    "SocialAccount",
    *("AccessAttempt", "AccessLog", "AccessFailureLog"),
    *("ListeningSlot", "AdapterPath", "IndexState"),
}


@pytest.fixture
def other() -> Tenant:
    return TenantFactory(slug="globex")


def staff(client: Client, tenant: Tenant, role: str, *sites: Site) -> Client:
    row = MembershipFactory(tenant=tenant, role=role, user=UserFactory(is_staff=True))
    for site in sites:
        MembershipLimit.objects.create(tenant=tenant, membership=row, site=site)
    client.force_login(row.user)
    return client


def url_of(model: Any, page: str, *args: Any) -> str:
    name = model if isinstance(model, str) else model._meta.model_name
    label = "registry" if isinstance(model, str) else model._meta.app_label
    return reverse(f"admin:{label}_{name}_{page}", args=args)


def listed(client: Client, model: Any, **query: str) -> list[Any]:
    answer = client.get(url_of(model, "changelist"), query)
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


def offered(client: Client, model: str, field: str) -> set[str]:
    query = {"app_label": "registry", "model_name": model, "field_name": field}
    answer = client.get(reverse("admin:autocomplete"), query)
    assert answer.status_code == 200
    return {row["id"] for row in answer.json()["results"]}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.APPROVER])
def test_a_member_who_does_not_manage_is_refused(
    client: Client, acme: Tenant, role: str
) -> None:
    staff(client, acme, role)

    assert client.get(url_of(Device, "changelist")).status_code == 302
    assert client.get(reverse("admin:login")).status_code == 403


def test_a_manager_who_is_not_staff_is_refused(client: Client, acme: Tenant) -> None:
    client.force_login(MembershipFactory(tenant=acme, role=Role.MANAGER).user)

    assert client.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda m: m.__name__)
def test_an_admin_opens_every_list_except_those_of_the_platform(
    client: Client, acme: Tenant, model: Any
) -> None:
    staff(client, acme, Role.ADMIN)

    status = client.get(url_of(model, "changelist")).status_code

    assert status == (403 if model.__name__ in PLATFORMS else 200)


@pytest.mark.parametrize(
    "model",
    [
        model
        for model, page in admin.site._registry.items()
        if isinstance(page, ReadOnly)
    ],
    ids=lambda model: model.__name__,
)
def test_no_admin_writes_rows_that_only_services_write(
    rf: RequestFactory, acme: Tenant, model: Any
) -> None:
    request = rf.get("/admin/")
    request.user = MembershipFactory(tenant=acme, role=Role.ADMIN).user
    page = admin.site._registry[model]

    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)


def test_a_manager_sees_only_their_tenants_rows(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    ours, theirs = DeviceFactory(tenant=acme), DeviceFactory(tenant=other)
    staff(client, acme, Role.MANAGER)

    assert listed(client, Device) == [ours]
    assert listed(client, Device, q=theirs.uid) == []
    assert listed(client, Site) == [ours.site]
    assert listed(client, Tenant) == [acme]


def test_a_manager_sees_nothing_where_they_are_only_a_viewer(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    ours, _ = DeviceFactory(tenant=acme), DeviceFactory(tenant=other)
    staff(client, acme, Role.MANAGER)
    person = Membership.objects.get(tenant=acme).user
    MembershipFactory(tenant=other, user=person, role=Role.VIEWER)

    assert listed(client, Device) == [ours]


@pytest.mark.parametrize("page", ["change", "history"])
def test_another_tenants_row_is_not_found(
    client: Client, acme: Tenant, other: Tenant, page: str
) -> None:
    theirs = DeviceFactory(tenant=other)
    staff(client, acme, Role.MANAGER)

    answer = client.get(url_of(Device, page, theirs.pk))

    assert answer.status_code == 302  # as the admin answers for an unknown key
    assert answer["Location"] == reverse("admin:index")


def test_another_tenants_site_is_not_changed(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    site = SiteFactory(tenant=other, name="theirs")
    staff(client, acme, Role.MANAGER)

    form = {"slug": site.slug, "name": "ours"}
    client.post(url_of(Site, "change", site.pk), form)
    client.post(url_of(Site, "delete", site.pk), {"post": "yes"})

    site.refresh_from_db()
    assert site.name == "theirs"


def test_a_manager_changes_their_site(client: Client, acme: Tenant) -> None:
    site = SiteFactory(tenant=acme, slug="one")
    staff(client, acme, Role.MANAGER)

    page = client.get(url_of(Site, "change", site.pk))
    form = {k: v or "" for k, v in page.context["adminform"].form.initial.items()}
    answer = client.post(url_of(Site, "change", site.pk), form | {"name": "One"})

    assert answer.status_code == 302, answer.context["adminform"].form.errors
    site.refresh_from_db()
    assert site.name == "One"


def test_fields_offer_and_accept_no_rows_of_other_tenants(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    ours, theirs = SiteFactory(tenant=acme), SiteFactory(tenant=other)
    product = ProductFactory(tenant=acme)
    staff(client, acme, Role.MANAGER)

    assert offered(client, "device", "site") == {str(ours.pk)}
    assert offered(client, "device", "tenant") == {str(acme.pk)}
    form = {"uid": "dev-1", "tenant": acme.pk, "site": theirs.pk, "product": product.pk}
    answer = client.post(url_of(Device, "add"), form)
    assert "site" in answer.context["adminform"].form.errors
    assert not Device.objects.exists()


def test_an_action_moves_no_device_of_another_tenant(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    ours, theirs = DeviceFactory(tenant=acme), DeviceFactory(tenant=other)
    staff(client, acme, Role.MANAGER)

    chosen = {"action": "send_to_repair", "_selected_action": [ours.pk, theirs.pk]}
    confirmed = {"confirmed": 1, "reason": "broken"}
    client.post(url_of(Device, "changelist"), chosen | confirmed)

    ours.refresh_from_db()
    theirs.refresh_from_db()
    assert ours.lifecycle == Lifecycle.IN_REPAIR
    assert theirs.lifecycle == Lifecycle.ACTIVE


def test_a_limited_manager_has_only_their_sites(client: Client, acme: Tenant) -> None:
    near, far = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)
    staff(client, acme, Role.MANAGER, near.site)

    assert listed(client, Device) == [near]
    assert listed(client, Site) == [near.site]
    assert offered(client, "device", "site") == {str(near.site_id)}
    assert client.get(url_of(Device, "change", far.pk)).status_code == 302


def test_a_limited_manager_reads_products_and_changes_none(
    client: Client, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    staff(client, acme, Role.MANAGER, device.site)

    product = device.product
    page = client.get(url_of(type(product), "change", product.pk))

    assert page.status_code == 200
    assert not page.context["has_change_permission"]
    assert client.get(url_of(type(product), "add")).status_code == 403


def test_only_an_admin_sees_who_belongs_to_the_tenant(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    MembershipFactory(tenant=other)
    staff(client, acme, Role.MANAGER)
    assert client.get(url_of(Membership, "changelist")).status_code == 403

    staff(client, acme, Role.ADMIN)
    assert {row.tenant for row in listed(client, Membership)} == {acme}


def test_only_superusers_make_tenants_and_accounts(
    client: Client, acme: Tenant
) -> None:
    staff(client, acme, Role.ADMIN)

    assert client.get(url_of(Tenant, "add")).status_code == 403
    assert client.get(url_of(User, "add")).status_code == 403


def test_an_admin_adds_a_member_with_a_limit_by_name_and_changes_it(
    client: Client, acme: Tenant
) -> None:
    near, far = SiteFactory(tenant=acme), SiteFactory(tenant=acme)
    person = UserFactory(username="ada")
    staff(client, acme, Role.ADMIN)

    form = {"user": "ada", "tenant": acme.pk, "role": "manager", "sites": [near.pk]}
    client.post(url_of(Membership, "add"), form)
    made = Membership.objects.get(user=person)
    assert [row.site for row in made.limits.all()] == [near]

    form = {"role": "operator", "sites": [far.pk]}
    client.post(url_of(Membership, "change", made.pk), form)
    made = Membership.objects.get(user=person)
    assert made.role == Role.OPERATOR
    assert [row.site for row in made.limits.all()] == [far]


def test_another_tenants_site_cannot_be_a_limit(
    client: Client, acme: Tenant, other: Tenant
) -> None:
    theirs, person = SiteFactory(tenant=other), UserFactory()
    staff(client, acme, Role.ADMIN)

    form = {"user": person.username, "tenant": acme.pk, "role": "viewer"}
    answer = client.post(url_of(Membership, "add"), form | {"sites": [theirs.pk]})

    assert "sites" in answer.context["adminform"].form.errors
    assert not Membership.objects.filter(user=person).exists()
