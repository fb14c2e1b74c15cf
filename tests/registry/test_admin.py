"""Django admin: every page opens, services make the changes, secrets show once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from registry.device_secrets import verify_secret
from registry.models import (
    ApiToken,
    Credential,
    Device,
    LifecycleMove,
    Product,
    Site,
    Tenant,
    User,
)
from registry.services.credentials import issue_credential
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    UserFactory,
)

DEVICES = "admin:registry_device_changelist"


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(UserFactory(is_superuser=True))
    return client


def act(
    client: Client, name: str, rows: list[Any], url: str = DEVICES, **given: Any
) -> Any:
    data = {"action": name, "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(url), data | given, follow=True)


def device_form(**changes: Any) -> dict[str, Any]:
    return {
        "uid": "dev-1",
        "name": "",
        "serial": "",
        "project": "",
        "kind": "standalone",
        "gateway": "",
        "adapter": "mqtt",
        "tags": "winter",
        "attributes": "{}",
        **changes,
    }


@pytest.mark.parametrize(
    "model",
    [row for row in admin.site._registry if row._meta.app_label == "registry"],
    ids=lambda row: row.__name__,
)
def test_a_list_opens_and_costs_the_same_for_many(
    boss: Client, acme: Tenant, model: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        device = DeviceFactory(tenant=acme, project=ProjectFactory(tenant=acme))
        issue_credential(device)
        LifecycleMove.objects.create(
            tenant=acme, device=device, at=device.created_at, moved_to="active"
        )
        MembershipFactory(tenant=acme)
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")

    with django_assert_max_num_queries(12):
        assert boss.get(url).status_code == 200
    assert boss.get(url, {"q": "x"}).status_code == 200
    row = model.objects.first()
    if row is not None:
        one = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
        assert boss.get(one).status_code == 200


def test_a_device_is_registered_and_changed_through_the_services(
    boss: Client, acme: Tenant
) -> None:
    site, product = SiteFactory(tenant=acme), ProductFactory(tenant=acme)
    ids = {"tenant": acme.pk, "site": site.pk, "product": product.pk}

    made = boss.post(reverse("admin:registry_device_add"), device_form(**ids))
    device = Device.objects.get()
    changed = boss.post(
        reverse("admin:registry_device_change", args=[device.pk]),
        device_form(**ids, name="Door"),
    )

    assert (made.status_code, changed.status_code) == (302, 302)
    device.refresh_from_db()
    assert (device.name, device.lifecycle) == ("Door", "provisioned")
    assert LifecycleMove.objects.get(device=device).moved_to == "provisioned"


def test_a_device_that_breaks_a_rule_is_not_saved(
    boss: Client, acme: Tenant, globex: Tenant
) -> None:
    site, product = SiteFactory(tenant=globex), ProductFactory(tenant=acme)
    ids = {"tenant": acme.pk, "site": site.pk, "product": product.pk}

    answer = boss.post(reverse("admin:registry_device_add"), device_form(**ids))

    assert answer.status_code == 200
    assert "There is no such site." in answer.content.decode()
    assert not Device.objects.exists()


def test_actions_move_lifecycles_and_report_refusals(
    boss: Client, acme: Tenant
) -> None:
    new = DeviceFactory(tenant=acme, lifecycle="provisioned")
    gone = DeviceFactory(tenant=acme, lifecycle="retired")

    answer = act(boss, "activate", [new, gone], confirmed=2, reason="in service")

    new.refresh_from_db()
    gone.refresh_from_db()
    assert (new.lifecycle, gone.lifecycle) == ("active", "retired")
    shown = [str(message) for message in answer.context["messages"]]
    assert any(text.startswith(f"{gone.uid}: ") for text in shown), shown
    move = LifecycleMove.objects.get(device=new)
    assert move.actor is not None


def test_a_credential_is_issued_shown_once_and_revoked(
    boss: Client, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)

    answer = act(boss, "issue", [device])

    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    row = Credential.objects.get()
    assert verify_secret(secret, row.verifier)
    url = reverse("admin:registry_credential_change", args=[row.pk])
    assert row.verifier not in boss.get(url).content.decode()

    act(boss, "revoke", [row], "admin:registry_credential_changelist")

    row.refresh_from_db()
    assert row.revoked_at is not None


def test_a_token_is_made_shown_once_and_revoked(boss: Client, acme: Tenant) -> None:
    user = UserFactory()
    given = {"user": user.pk, "name": "script", "scopes": ["read"]}
    given |= {"expires_at_0": "", "expires_at_1": ""}

    answer = boss.post(reverse("admin:registry_apitoken_add"), given)

    assert answer.status_code == 200, answer
    key = answer.context["secret"]
    assert key in answer.content.decode()
    row = ApiToken.objects.get()
    assert (row.user, row.name, row.scopes) == (user, "script", ["read"])
    assert client_may_read(key)
    act(boss, "revoke", [row], "admin:registry_apitoken_changelist")
    assert not client_may_read(key)


def client_may_read(key: str) -> bool:
    answer = Client().get("/api/v1/devices/", headers={"Authorization": f"Token {key}"})
    return answer.status_code == 200


@pytest.mark.parametrize(
    ("factory", "model"), [(SiteFactory, Site), (ProductFactory, Product)]
)
def test_an_object_in_use_is_not_deleted(
    boss: Client, acme: Tenant, factory: Any, model: Any
) -> None:
    row = factory(tenant=acme)
    DeviceFactory(tenant=acme, **{model._meta.model_name: row})
    name = f"admin:registry_{model._meta.model_name}_delete"

    boss.post(reverse(name, args=[row.pk]), {"post": "yes"}, follow=True)

    assert model.objects.filter(pk=row.pk).exists()


def test_a_person_is_made_with_a_password(boss: Client) -> None:
    given = {
        "username": "new@acme",
        "password1": "a-long-pass-phrase",
        "password2": "a-long-pass-phrase",
        "usable_password": "true",
    }

    boss.post(reverse("admin:registry_user_add"), given)

    assert User.objects.get(username="new@acme").check_password("a-long-pass-phrase")


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda m: m.__name__)
def test_a_list_joins_every_related_row_that_it_names(
    rf: RequestFactory, model: Any
) -> None:
    request = rf.get("/admin/")
    request.user = UserFactory.build(is_superuser=True)
    page = admin.site._registry[model]
    fields = {field.name: field for field in model._meta.fields if field.is_relation}
    named = fields.keys() & set(page.get_list_display(request))

    brought: set[Any] = set()
    for chosen in (
        page.get_queryset(request).query.select_related,
        page.get_list_select_related(request),
    ):
        brought |= set() if isinstance(chosen, bool) else set(chosen)
    # By default Django's list joins every relation that cannot be null.
    if not page.get_list_select_related(request):
        brought |= {name for name in named if not fields[name].null}

    assert named <= brought
