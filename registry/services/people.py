"""Writes of people and of their place in tenants."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from registry.models import Membership, Tenant, User
from registry.services.rows import save_checked


@transaction.atomic
def create_user(*, username: str, password: str, **fields: Any) -> User:
    """Make an account. Raises BadInput for a name that is taken or malformed."""
    user = User(username=username, **fields)
    user.set_password(password)
    save_checked(user)
    return user


@transaction.atomic
def set_membership(*, user: User, tenant: Tenant, role: str) -> Membership:
    """Make the person a member of the tenant, or change the role they have there."""
    row = Membership.objects.filter(user=user, tenant=tenant).first()
    row = row or Membership(user=user, tenant=tenant)
    row.role = role
    return save_membership(row)


def save_membership(membership: Membership) -> Membership:
    """Save a membership as it stands. Raises BadInput naming what is wrong."""
    save_checked(membership)
    return membership
