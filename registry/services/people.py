"""Writes of people and their memberships."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from iotplatform.common.problems import BadInput
from registry.choices import Role
from registry.exceptions import LastAdmin
from registry.models import (
    Membership,
    MembershipLimit,
    Project,
    Site,
    Tenant,
    User,
)
from registry.services.constraint_errors import save_checked

Places = Sequence[Project | Site]


@transaction.atomic
def create_user(*, username: str, password: str, **fields: Any) -> User:
    """Make an account. Raises BadInput for a taken or malformed name."""
    user = User(username=username, **fields)
    user.set_password(password)
    save_checked(user)
    return user


@transaction.atomic
def set_membership(*, user: User, tenant: Tenant, role: str) -> Membership:
    """Make the person a member of the tenant, or change their role there."""
    row = Membership.objects.filter(user=user, tenant=tenant).first()
    row = row or Membership(user=user, tenant=tenant)
    row.role = role
    return save_membership(row)


@transaction.atomic
def add_member(
    *, tenant: Tenant, user: User, role: str = Role.VIEWER, limited_to: Places = ()
) -> Membership:
    """Make the person a member, limited to these projects and sites if any are given.

    Raises BadInput for someone who is already a member, and for an admin with a limit.
    """
    row = Membership(tenant=tenant, user=user, role=role)
    _check_limit(row, limited_to)
    save_checked(row)
    _set_limits(row, limited_to)
    return row


@transaction.atomic
def change_member(
    membership: Membership,
    *,
    role: str | None = None,
    limited_to: Places | None = None,
) -> Membership:
    """Change a member's role and limit; None leaves a value unchanged.

    Raises LastAdmin, and BadInput for an admin with a limit.
    """
    admins = _lock_admins(membership.tenant_id)
    row = Membership.objects.select_for_update(no_key=True).get(pk=membership.pk)
    row.role = row.role if role is None else role
    if row.role != Role.ADMIN and admins == [row.pk]:
        raise LastAdmin
    _check_limit(row, _limits_of(row) if limited_to is None else limited_to)
    save_checked(row)
    if limited_to is not None:
        _set_limits(row, limited_to)
    return row


@transaction.atomic
def remove_member(membership: Membership) -> None:
    """End a membership; raises LastAdmin."""
    if _lock_admins(membership.tenant_id) == [membership.pk]:
        raise LastAdmin
    membership.delete()


@transaction.atomic
def save_membership(membership: Membership) -> Membership:
    """Save a changed membership. Raises BadInput naming the field, LastAdmin."""
    if membership.pk and membership.role != Role.ADMIN:
        if _lock_admins(membership.tenant_id) == [membership.pk]:
            raise LastAdmin
    if membership.pk:
        _check_limit(membership, _limits_of(membership))
    save_checked(membership)
    return membership


def lock_member(membership: Membership) -> None:
    """Lock a membership inside a transaction; the admins first, as a change does."""
    _lock_admins(membership.tenant_id)
    rows = Membership.objects.select_for_update(no_key=True)
    list(rows.filter(pk=membership.pk).values_list("pk"))


def _lock_admins(tenant_id: int) -> list[int]:
    """Lock the tenant's admins, so that the last two cannot remove each other."""
    rows = Membership.objects.filter(tenant=tenant_id, role=Role.ADMIN).order_by("pk")
    return list(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def _check_limit(membership: Membership, places: Places) -> None:
    if membership.role == Role.ADMIN and places:
        field = "sites" if isinstance(places[0], Site) else "projects"
        text = (
            "An admin manages the people of the whole tenant and cannot have a limit."
        )
        raise BadInput(errors=[{"field": field, "message": text}])
    for place in places:
        if place.tenant_id != membership.tenant_id:
            field = "sites" if isinstance(place, Site) else "projects"
            text = f"There is no such {place._meta.verbose_name}."
            raise BadInput(errors=[{"field": field, "message": text}])


def _limits_of(membership: Membership) -> list[Project | Site]:
    rows = MembershipLimit.objects.filter(membership=membership)
    found = [row.project or row.site for row in rows.select_related("project", "site")]
    return [place for place in found if place is not None]


def _set_limits(membership: Membership, places: Places) -> None:
    """Store these limits; unchanged rows are not written."""
    projects = {row.pk: row for row in places if isinstance(row, Project)}
    sites = {row.pk: row for row in places if isinstance(row, Site)}
    rows = MembershipLimit.objects.filter(membership=membership)
    kept = rows.filter(Q(project__in=projects) | Q(site__in=sites))
    for row in kept:
        projects.pop(row.project_id or 0, None)
        sites.pop(row.site_id or 0, None)
    rows.exclude(pk__in=[row.pk for row in kept]).delete()
    new = [MembershipLimit(project=row) for row in projects.values()]
    new += [MembershipLimit(site=row) for row in sites.values()]
    for limit in new:
        limit.membership, limit.tenant_id = membership, membership.tenant_id
    MembershipLimit.objects.bulk_create(new)
