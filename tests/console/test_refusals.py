"""The 403 page: whether one may not see or not do, and who can help."""

from __future__ import annotations

import pytest

from registry.choices import Role
from tests.console.conftest import Fleet
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("method", "path", "title"),
    [
        ("get", "/audit/", "not allowed to see this page"),
        ("get", "/members/", "not allowed to see this page"),
        ("get", "/platform/", "not allowed to see this page"),
        ("post", "/devices/sh-1/lifecycle/", "not allowed to do this"),
        ("post", "/jobs/new/?q=*", "not allowed to do this"),
    ],
)
def test_a_refusal_says_seeing_or_doing_and_names_who_can_help(
    acme: Fleet, globex: Fleet, method: str, path: str, title: str
) -> None:
    helper, gone = acme.person(Role.ADMIN), acme.person(Role.ADMIN)
    gone.is_active = False
    gone.save()
    others = [acme.person(Role.OPERATOR), globex.person(Role.ADMIN), gone]
    others.append(UserFactory.create(is_superuser=True))

    answer = getattr(acme.client(Role.VIEWER), method)(path, {"device": "sh-1"})

    text = answer.content.decode().split("<main")[1]
    assert answer.status_code == 403
    assert title in text
    can_help = f"{helper.username} can change your role."
    # Nobody of a tenant can give access to the platform's page.
    assert (can_help in text) == (path != "/platform/")
    assert not [user for user in others if user.username in text]
