"""Reads of connections: a person's accounts at an identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.socialaccount.models import SocialAccount

from registry.models import User

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_people_by_address_across_tenants(email: str) -> Sequence[User]:
    """Return up to two active people with this e-mail address, to see if it is unique.

    Across tenants, because nobody has signed in yet.
    """
    if not email or "\0" in email:
        return []
    rows = User.objects.filter(email__iexact=email, is_active=True)
    return list(rows.order_by("pk")[:2])


def list_uids_of(user: User, *, provider: str) -> list[str]:
    """Return the ids of the accounts at this provider that sign the person in."""
    rows = SocialAccount.objects.filter(user=user.pk, provider=provider)
    return list(rows.values_list("uid", flat=True))
