"""Finds the tenant's objects that a request names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from iotplatform.common.problems import BadInput, NotFound
from registry.models import Tenant
from registry.selectors.devices import get_device
from registry.selectors.places import get_project, get_site, get_space
from registry.selectors.products import get_batch, get_product, get_revision

FINDERS: dict[str, Callable[[Tenant, str], Any]] = {
    "project": lambda tenant, slug: get_project(tenants=[tenant], slug=slug),
    "site": lambda tenant, slug: get_site(tenants=[tenant], slug=slug),
    "product": lambda tenant, slug: get_product(tenants=[tenant], slug=slug),
    "space": lambda tenant, slug: get_space(tenants=[tenant], slug=slug),
    "parent": lambda tenant, slug: get_space(tenants=[tenant], slug=slug),
    "hardware_revision": lambda tenant, slug: get_revision(tenants=[tenant], slug=slug),
    "batch": lambda tenant, slug: get_batch(tenants=[tenant], slug=slug),
    "gateway": lambda tenant, uid: get_device(tenants=[tenant], uid=uid),
    "replaced_by": lambda tenant, uid: get_device(tenants=[tenant], uid=uid),
}


def with_objects(data: Mapping[str, Any], *, tenant: Tenant) -> dict[str, Any]:
    """Return the data with objects instead of names.

    Raises BadInput naming every field whose object the tenant does not have.
    """
    found = dict(data)
    errors = []
    for field, find in FINDERS.items():
        if found.get(field) is None:
            continue
        try:
            found[field] = find(tenant, found[field])
        except NotFound as error:
            errors.append({"field": field, "message": error.detail})
    if errors:
        raise BadInput(errors=errors)
    return found
