"""What a role may do in its tenant: one table for console, REST and admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F

from registry.choices import Role, TokenScope
from registry.member_limit import Limit
from registry.models import Membership, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.models import AnonymousUser

    from registry.models import User


class Right(models.TextChoices):
    """What may be done in a tenant."""

    VIEW = "view", "view"  # see everything of the tenant
    OPERATE = "operate", "operate"  # send commands, start jobs, work on incidents
    APPROVE = "approve", "approve"  # let another person's job start
    MANAGE = "manage", "manage"  # register devices, edit places and products
    ADMINISTER = "administer", "administer"  # people and their roles
    AUDIT = "audit", "audit"  # read who changed what


_VIEWER = frozenset({Right.VIEW})
_OPERATOR = _VIEWER | {Right.OPERATE}
_APPROVER = _OPERATOR | {Right.APPROVE}
_MANAGER = _APPROVER | {Right.MANAGE, Right.AUDIT}
_ADMIN = _MANAGER | {Right.ADMINISTER}

RIGHTS_OF_ROLE: dict[str, frozenset[Right]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.APPROVER: _APPROVER,
    Role.MANAGER: _MANAGER,
    Role.ADMIN: _ADMIN,
}

# A token never allows more than this, whatever its user may do.
RIGHTS_OF_SCOPE: dict[str, frozenset[Right]] = {
    TokenScope.READ: _VIEWER | {Right.AUDIT},  # reading the log changes nothing
    TokenScope.OPERATE: _APPROVER | {Right.AUDIT},
    TokenScope.MANAGE: _ADMIN,
}


def rights_of_scopes(scopes: Iterable[str]) -> frozenset[Right]:
    """Return the most that a token with these scopes allows."""
    allowed: frozenset[Right] = frozenset()
    for scope in scopes:
        allowed |= RIGHTS_OF_SCOPE.get(scope, frozenset())
    return allowed


def may(user: User | AnonymousUser, tenant_id: int, right: Right) -> bool:
    """Whether the user, and the token in use, have this right in the tenant."""
    return right in rights_in(user, tenant_id)


def rights_in(user: User | AnonymousUser, tenant_id: int) -> frozenset[Right]:
    """Return everything that the user may do in the tenant."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        rights = frozenset(Right)
    else:
        role = _roles_of(user).get(tenant_id, "")
        rights = RIGHTS_OF_ROLE.get(role, frozenset())
    return rights if user.rights_limit is None else rights & user.rights_limit


def tenants_where(user: User | AnonymousUser, right: Right) -> list[Tenant]:
    """Return the tenants where the user has this right, by slug; for superusers, all.

    Each carries the member's limit, which ``registry.selectors.access`` applies.
    """
    if not user.is_authenticated or not user.is_active:
        return []
    if user.rights_limit is not None and right not in user.rights_limit:
        return []
    if user.is_superuser:
        return list(Tenant.objects.order_by("slug"))
    roles = _roles_of(user)
    rights = {pk: RIGHTS_OF_ROLE[role] for pk, role in roles.items()}
    return [row for row in _tenants_of(user) if right in rights[row.pk]]


def is_platform_admin(user: User | AnonymousUser) -> bool:
    """Whether the user is a superuser, with all rights of the token in use."""
    if not user.is_authenticated or not user.is_active or not user.is_superuser:
        return False
    return user.rights_limit is None or Right.ADMINISTER in user.rights_limit


def _tenants_of(user: User) -> list[Tenant]:
    """Read the user's tenants, each with their limit, once per user object."""
    if user.tenants is None:
        rows = Membership.objects.filter(user_id=user.pk).select_related("tenant")
        found: dict[Tenant, Limit] = {}
        # A row for each limit, and one for a member without any.
        for row in rows.annotate(
            project_id=F("limits__project_id"),
            project_slug=F("limits__project__slug"),
            site_id=F("limits__site_id"),
            site_slug=F("limits__site__slug"),
        ).order_by("tenant__slug", "limits__pk"):
            limit = found.setdefault(
                row.tenant, Limit(projects={}, sites={}, user_id=user.pk)
            )
            if row.project_id is not None:
                limit.projects[row.project_id] = row.project_slug
            if row.site_id is not None:
                limit.sites[row.site_id] = row.site_slug
        for tenant, limit in found.items():
            tenant.limit = limit if limit.projects or limit.sites else None
        user.tenants = list(found)
    return user.tenants


def _roles_of(user: User) -> dict[int, str]:
    """Read the user's roles once per user object, which means once per request."""
    if user.roles_by_tenant is None:
        rows = Membership.objects.filter(user_id=user.pk)
        user.roles_by_tenant = dict(rows.values_list("tenant_id", "role"))
    return user.roles_by_tenant
