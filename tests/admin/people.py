"""People who use the admin, and how they choose rows and confirm."""

from __future__ import annotations

from typing import Any

from django.test import Client

from registry.models import Membership, MembershipLimit, Site, Tenant
from tests.admin.pages import url_of
from tests.factories import MembershipFactory, UserFactory


def boss() -> Client:
    """A platform superuser."""
    client = Client()
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    return client


def staff_of(tenant: Tenant, role: str, *sites: Site) -> Client:
    """A tenant's staff in this role, limited to these sites where there are any."""
    client = Client()
    client.force_login(member_of(tenant, role, *sites).user)
    return client


def member_of(tenant: Tenant, role: str, *sites: Site) -> Membership:
    """The membership of a person who may come into the admin."""
    row: Membership = MembershipFactory(
        tenant=tenant, role=role, user=UserFactory(is_staff=True)
    )
    for site in sites:
        MembershipLimit.objects.create(tenant=tenant, membership=row, site=site)
    return row


def choose(client: Client, action: str, *rows: Any, **given: Any) -> Any:
    """Choose rows of a list and an action; with more given, confirm it too."""
    form: dict[str, Any] = {
        "action": action,
        "_selected_action": [row.pk for row in rows],
    }
    if given:
        form |= {"confirmed": len(rows), **given}
    return client.post(url_of(type(rows[0]), "changelist"), form, follow=True)


def messages_of(answer: Any) -> list[str]:
    """Return the messages that the admin showed."""
    return [str(message) for message in answer.context["messages"]]
