"""Writes of the space tree: the database keeps its paths and refuses loops."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from iotplatform.common.problems import BadInput
from registry.models import Device, Space, Tenant
from registry.services.constraint_errors import (
    delete_unused,
    save_checked,
)

# As in the trigger that keeps the paths (registry/migrations/_spaces.py).
LOCK_TREE = "SELECT pg_advisory_xact_lock(1936744307, %s::integer)"


def create_space(*, tenant: Tenant, slug: str, name: str = "", **fields: Any) -> Space:
    """Make a space. Raises BadInput naming each wrong field."""
    return save_space(Space(tenant=tenant, slug=slug, name=name or slug, **fields))


@transaction.atomic
def save_space(space: Space) -> Space:
    """Save a changed space; the spaces below move with it.

    Raises BadInput naming the wrong field, such as a parent at another site or below
    the space itself.
    """
    _lock_tree(space.tenant_id)
    if space.site.tenant_id != space.tenant_id:
        raise BadInput(site="There is no such site.")
    limit = space.tenant.limit
    place = {"project_id": space.site.project_id, "site_id": space.site_id}
    if limit is not None and not limit.holds(**place):
        raise BadInput(site="You may not access spaces there.")
    if space.parent is not None and space.parent.site_id != space.site_id:
        raise BadInput(parent=f"There is no such space at the site {space.site}.")
    save_checked(space)
    space.refresh_from_db(fields=["path"])
    return space


@transaction.atomic
def update_space(space: Space, **changes: Any) -> Space:
    """Change or move a space; it and the spaces below stay at their site."""
    if changes.get("site", space.site) != space.site:
        raise BadInput(site="A space cannot move to another site.")
    row = lock_space(space)
    row.tenant = space.tenant  # with the caller's limit
    for field, value in changes.items():
        setattr(row, field, value)
    return save_space(row)


def delete_space(space: Space) -> None:
    """Delete a space; raises InUse while it contains a space or a device."""
    delete_unused(
        space,
        Space.objects.filter(parent=space),
        Device.objects.filter(space=space),
    )


def lock_space(space: Space) -> Space:
    """Lock a space inside a transaction; the tree first, as the trigger does.

    Raises Space.DoesNotExist if it was deleted.
    """
    _lock_tree(space.tenant_id)
    return Space.objects.select_for_update(no_key=True).get(pk=space.pk)


def _lock_tree(tenant_id: int) -> None:
    """Serialise moves of a tenant's spaces: two at once could make a loop."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_TREE, [tenant_id])
