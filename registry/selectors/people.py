"""Reads of people's memberships."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from iotplatform.common.problems import BadInput, NotFound
from registry.exceptions import NoSuchObject
from registry.models import Membership, MembershipLimit, Project, Site, Tenant, User
from registry.permissions import RIGHTS_OF_ROLE, Right
from registry.selectors.places import get_project, get_site

ADMINISTERING = [
    r for r, rights in RIGHTS_OF_ROLE.items() if Right.ADMINISTER in rights
]
ADMINISTRATORS_NAMED = 3


def list_memberships(*, tenants: Sequence[Tenant]) -> QuerySet[Membership]:
    """Return the members of these tenants with their limits."""
    limits = MembershipLimit.objects.select_related("project", "site").order_by("pk")
    rows = Membership.objects.filter(tenant__in=tenants)
    return (
        rows.select_related("user", "tenant")
        .prefetch_related(Prefetch("limits", queryset=limits))
        .order_by("pk")
    )


def get_membership(*, tenants: Sequence[Tenant], public_id: UUID) -> Membership:
    """Return a membership; raises NoSuchObject."""
    found = list_memberships(tenants=tenants).filter(public_id=public_id).first()
    if found is None:
        raise NoSuchObject("membership")
    return found


def list_administrators(*, tenants: Sequence[Tenant]) -> list[str]:
    """Return a few people who can change the roles of these tenants' members."""
    rows = Membership.objects.filter(
        tenant__in=tenants, role__in=ADMINISTERING, user__is_active=True
    )
    names = rows.order_by("user__username").values_list("user__username", flat=True)
    return list(names.distinct()[:ADMINISTRATORS_NAMED])


def find_user_across_tenants(username: str) -> User:
    """Return the account of this name; raises NoSuchObject."""
    if "\0" not in username and (row := User.objects.filter(username=username).first()):
        return row
    raise NoSuchObject("account: ask a superuser for one")


def find_person(*, tenant: Tenant, username: str) -> User:
    """Return a person who may see this tenant; raises NoSuchObject."""
    member = Membership.objects.filter(tenant=tenant, user=OuterRef("pk"))
    rows = User.objects.filter(
        Q(is_superuser=True) | Exists(member), username=username, is_active=True
    )
    if "\0" not in username and (row := rows.first()):
        return row
    raise NoSuchObject("member")


def list_whole_members(*, tenant: Tenant, usernames: Sequence[str]) -> QuerySet[User]:
    """Return the active members of these names who see the whole tenant."""
    rows = Membership.objects.filter(tenant=tenant, limits=None)
    return User.objects.filter(
        Exists(rows.filter(user=OuterRef("pk"))),
        username__in=[name for name in usernames if "\0" not in name],
        is_active=True,
    )


def whole_members_across_tenants(
    wanted: Collection[tuple[int, int]],
) -> dict[tuple[int, int], str]:
    """Return mail addresses by (tenant, user): of active members without a limit."""
    rows = Membership.objects.filter(
        tenant__in={tenant_id for tenant_id, _ in wanted},
        user__in={user_id for _, user_id in wanted},
        user__is_active=True,
        limits=None,
    )
    found = rows.values_list("tenant_id", "user_id", "user__email")
    return {(tenant_id, user_id): mail for tenant_id, user_id, mail in found}


def find_places(
    *, tenant: Tenant, projects: Sequence[str], sites: Sequence[str]
) -> list[Project | Site]:
    """Return the projects and sites of these slugs.

    Raises BadInput naming ``projects`` or ``sites`` for each one not found.
    """
    found: list[Project | Site] = []
    errors = []
    wanted = [("projects", slug) for slug in projects]
    for field, slug in [*wanted, *(("sites", slug) for slug in sites)]:
        find = get_project if field == "projects" else get_site
        try:
            found.append(find(tenants=[tenant], slug=slug))
        except NotFound as error:
            errors.append({"field": field, "message": f"{slug}: {error.detail}"})
    if errors:
        raise BadInput(errors=errors)
    return found
