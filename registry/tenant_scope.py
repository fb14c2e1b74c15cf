"""From a caller to their tenant scope: the rows that the database lets them see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from iotplatform.common import tenant_scope
from registry.models import Membership

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.models import User


def enter_scope_of(user: User | AnonymousUser, *, token_id: int | None = None) -> None:
    """Set the scope to the tenants of the caller; for a superuser, to all.

    What they may do there is decided by ``registry.permissions``, not here.
    """
    before = tenant_scope.current() or tenant_scope.TenantScope()
    nobody = replace(
        before, role=tenant_scope.WEB, tenants=(), user_id=None, token_id=token_id
    )
    if not user.is_authenticated or not user.is_active:
        tenant_scope.enter(nobody)
        return
    if (before.user_id, before.token_id) == (user.pk, token_id):
        return  # entered before, in this request
    known = replace(nobody, user_id=user.pk)
    if user.is_superuser:
        tenant_scope.enter(replace(known, role=tenant_scope.PLATFORM))
        return
    tenant_scope.enter(known)  # sees their own memberships and nothing else
    rows = Membership.objects.filter(user_id=user.pk).order_by("tenant_id")
    # Kept, so that `registry.permissions` needs no second query.
    user.roles_by_tenant = dict(rows.values_list("tenant_id", "role"))
    tenant_scope.enter(replace(known, tenants=tuple(user.roles_by_tenant)))
