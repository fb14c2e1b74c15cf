"""Reads of people's memberships."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from registry.exceptions import NoSuchObject
from registry.models import Membership, MembershipLimit, Tenant, User


def list_memberships(*, tenants: Sequence[Tenant]) -> QuerySet[Membership]:
    """Return who belongs to these tenants, with what each is limited to."""
    limits = MembershipLimit.objects.select_related("project", "site").order_by("pk")
    rows = Membership.objects.filter(tenant__in=tenants)
    return (
        rows.select_related("user", "tenant")
        .prefetch_related(Prefetch("limits", queryset=limits))
        .order_by("pk")
    )


def get_membership(*, tenants: Sequence[Tenant], public_id: UUID) -> Membership:
    """Return one of them; raises NoSuchObject."""
    found = list_memberships(tenants=tenants).filter(public_id=public_id).first()
    if found is None:
        raise NoSuchObject("membership")
    return found


def find_user_across_tenants(username: str) -> User:
    """Return the account of this name; raises NoSuchObject."""
    if "\0" not in username and (row := User.objects.filter(username=username).first()):
        return row
    raise NoSuchObject("account: a superuser makes one")
