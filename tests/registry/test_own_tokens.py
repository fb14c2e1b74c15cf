"""A person's own keys over REST: made, listed, revoked, never with more rights."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import ApiToken, User
from registry.services.tokens import create_token
from tests.factories import MembershipFactory
from tests.registry.conftest import ActAs, fields_of

PATH = "/api/v1/tokens/"


def test_a_key_is_made_shown_once_used_and_revoked(act_as: ActAs) -> None:
    client = act_as("operator")

    body = {"name": "script", "scopes": ["read"]}
    made = client.post(PATH, body, format="json").json()

    mine = APIClient()
    mine.credentials(HTTP_AUTHORIZATION=f"Token {made['token']}")
    listed = mine.get(PATH).json()["results"]
    assert {row["name"] for row in listed} == {"script", "test"}
    assert all("token" not in row for row in listed)
    assert client.delete(f"{PATH}{made['id']}/").status_code == 204
    assert mine.get(PATH).status_code == 401
    assert client.get(f"{PATH}{made['id']}/").json()["revoked_at"] is not None


def test_nobody_sees_or_revokes_anothers_key(act_as: ActAs) -> None:
    user = MembershipFactory().user
    token, _ = create_token(user=user, name="theirs", scopes=["read"])
    client = act_as("admin")

    assert client.get(f"{PATH}{token.public_id}/").status_code == 404
    assert client.delete(f"{PATH}{token.public_id}/").status_code == 404
    assert len(client.get(PATH).json()["results"]) == 1


def test_a_key_makes_no_key_with_more_rights_or_a_later_expiry(act_as: ActAs) -> None:
    client = act_as("admin", "read")
    end = timezone.now() + timedelta(hours=1)
    ApiToken.objects.update(expires_at=end)

    more = {"name": "x", "scopes": ["manage"], "expires_at": end}
    longer = {"name": "x", "scopes": ["read"]}
    as_much = {"name": "x", "scopes": ["read"], "expires_at": end}

    assert fields_of(client.post(PATH, more, format="json")) == {"scopes"}
    assert fields_of(client.post(PATH, longer, format="json")) == {"expires_at"}
    assert client.post(PATH, as_much, format="json").status_code == 201


def test_a_signed_in_person_makes_any_key_for_themselves(db: None) -> None:
    user: User = MembershipFactory(role="viewer").user
    client = APIClient()
    client.force_login(user)

    body = {"name": "x", "scopes": ["read", "manage"]}
    assert client.post(PATH, body, format="json").status_code == 201


def test_wrong_input_names_the_field(act_as: ActAs) -> None:
    client = act_as("viewer")
    past = timezone.now() - timedelta(days=1)

    cases = {
        "scopes": {"name": "x", "scopes": []},
        "name": {"scopes": ["read"]},
        "expires_at": {"name": "x", "scopes": ["read"], "expires_at": past},
    }
    for field, body in cases.items():
        assert fields_of(client.post(PATH, body, format="json")) == {field}
