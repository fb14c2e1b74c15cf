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
    """Make a space. Raises BadInput naming each field that is wrong."""
    return save_space(Space(tenant=tenant, slug=slug, name=name or slug, **fields))


@transaction.atomic
def save_space(space: Space) -> Space:
    """Save a space as it stands, and move what is below it along.

    Raises BadInput naming what is wrong: a parent at another site or below itself.
    """
    _lock_tree(space.tenant_id)
    if space.site.tenant_id != space.tenant_id:
        raise BadInput(site="There is no such site.")
    limit = space.tenant.limit
    place = {"project_id": space.site.project_id, "site_id": space.site_id}
    if limit is not None and not limit.holds(**place):
        raise BadInput(site="You do not reach spaces there.")
    if space.parent is not None and space.parent.site_id != space.site_id:
        raise BadInput(parent=f"There is no such space at the site {space.site}.")
    save_checked(space)
    space.refresh_from_db(fields=["path"])
    return space


@transaction.atomic
def update_space(space: Space, **changes: Any) -> Space:
    """Change or move a space; it stays at its site, with everything below it."""
    if changes.get("site", space.site) != space.site:
        raise BadInput(site="A space stays at its site.")
    row = lock_space(space)
    row.tenant = space.tenant  # with the caller's limit
    for field, value in changes.items():
        setattr(row, field, value)
    return save_space(row)


def delete_space(space: Space) -> None:
    """Delete a space; raises InUse while a space or a device is in it."""
    delete_unused(
        space,
        Space.objects.filter(parent=space),
        Device.objects.filter(space=space),
    )


def lock_space(space: Space) -> Space:
    """Lock a space inside of a transaction; the tree first, as the trigger's order is.

    Raises Space.DoesNotExist for one that is gone.
    """
    _lock_tree(space.tenant_id)
    return Space.objects.select_for_update(no_key=True).get(pk=space.pk)


def _lock_tree(tenant_id: int) -> None:
    """Let one at a time move spaces of a tenant: two moves may make a loop."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_TREE, [tenant_id])
