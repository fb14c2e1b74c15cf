"""The pages of API keys and of members."""

from __future__ import annotations

import re

import pytest
from rest_framework.test import APIClient

from registry.choices import Role
from registry.models import ApiToken, Membership
from registry.services.tokens import create_token
from tests.console.conftest import Fleet
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_key_is_shown_once_works_and_can_be_revoked(acme: Fleet) -> None:
    client = acme.client(Role.VIEWER)

    made = client.post("/keys/", {"name": "night", "scopes": ["read"], "days": "30"})
    found = re.search(r"iot_[\w-]{43}", made.content.decode())

    assert found
    assert made["Cache-Control"] == "no-store"
    script = APIClient()
    script.credentials(HTTP_AUTHORIZATION=f"Token {found[0]}")
    assert script.get("/api/v1/devices/").status_code == 200
    again = client.get("/keys/").content.decode()
    assert "night" in again
    assert found[0] not in again

    client.post(f"/keys/{ApiToken.objects.get().public_id}/revoke/")
    assert script.get("/api/v1/devices/").status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"scopes": []}, {"scopes": ["all"]}, {"days": "7"}, {"days": "x"}],
)
def test_an_invalid_key_form_is_refused_at_its_field(
    acme: Fleet, wrong: dict[str, object]
) -> None:
    given = {"name": "x", "scopes": ["read"], "days": "30"} | wrong

    answer = acme.client().post("/keys/", given)

    assert answer.status_code == 422
    assert f'id="id_{next(iter(wrong))}-error"' in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_key_of_another_person_is_not_found(acme: Fleet) -> None:
    other = acme.person(Role.VIEWER)
    token, _ = create_token(user=other, name="theirs", scopes=["read"])
    client = acme.client(Role.ADMIN)

    assert client.post(f"/keys/{token.public_id}/revoke/").status_code == 404
    assert "theirs" not in client.get("/keys/").content.decode()


def test_an_admin_adds_a_member_sets_limits_and_removes_the_member(acme: Fleet) -> None:
    client, user = acme.client(Role.ADMIN), UserFactory(username="new@acme")
    given = {"user": "new@acme", "role": "operator", "sites": "munich-07"}

    assert client.post("/members/", given).status_code == 302
    member = Membership.objects.get(user=user)
    page = client.get("/members/").content.decode()
    assert 'value="munich-07"' in page

    change = {"role": "manager", "sites": "munich-07, shanghai-01"}
    client.post(f"/members/{member.public_id}/change/", change)
    member.refresh_from_db()
    assert member.role == Role.MANAGER
    assert member.limits.count() == 2

    client.post(f"/members/{member.public_id}/remove/")
    assert not Membership.objects.filter(user=user).exists()


def test_refusals_are_shown_on_the_page(acme: Fleet) -> None:
    client = acme.client(Role.ADMIN)
    me = Membership.objects.get(role=Role.ADMIN)

    unknown = client.post("/members/", {"user": "nobody", "role": "viewer"})
    last = client.post(f"/members/{me.public_id}/change/", {"role": "viewer"})
    gone = client.post(f"/members/{me.public_id}/remove/")

    assert "account" in unknown.context["form"].errors["user"][0]
    assert (unknown.status_code, last.status_code, gone.status_code) == (422, 409, 409)
    assert "last admin" in last.content.decode()


def test_only_an_admin_may_open_the_members_page(acme: Fleet, globex: Fleet) -> None:
    theirs = MembershipFactory(tenant=globex.tenant)
    for role in (Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.MANAGER):
        client = acme.client(role)
        assert client.get("/members/").status_code == 403
        assert "/members/" not in client.get("/keys/").content.decode()
    client = acme.client(Role.ADMIN)
    assert client.post(f"/members/{theirs.public_id}/remove/").status_code == 404
    assert theirs.user.username not in client.get("/members/").content.decode()
    assert "/members/" in client.get("/keys/").content.decode()
