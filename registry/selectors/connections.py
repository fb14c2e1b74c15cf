"""Reads of the accounts at an identity provider that people's own are connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.socialaccount.models import SocialAccount

from registry.models import User

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_people_by_address_across_tenants(email: str) -> Sequence[User]:
    """Return the active people of this e-mail address: at most two, to see that one is.

    People are looked up before anybody is known, so no tenant limits this.
    """
    if not email or "\0" in email:
        return []
    rows = User.objects.filter(email__iexact=email, is_active=True)
    return list(rows.order_by("pk")[:2])


def list_uids_of(user: User, *, provider: str) -> list[str]:
    """Return the accounts at this provider that sign the person in already."""
    rows = SocialAccount.objects.filter(user=user.pk, provider=provider)
    return list(rows.values_list("uid", flat=True))
