"""The keys that queries within tenants may name."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.query.keys import Keys
from iotplatform.common import tenant_scope
from registry.models import Tenant
from registry.selectors.products import list_declared_keys

KEPT = "_known_keys"  # on the first tenant, which lives as long as its request


def known_keys(tenants: Sequence[Tenant]) -> Keys:
    """Return the keys that products of these tenants declare; one query at most.

    Within a request they are read once, however many searches it makes.
    """
    keys = Keys(lambda: list_declared_keys(tenants=tenants))
    if not tenants or tenant_scope.current() is None:
        return keys
    kept = tenants[0].__dict__.setdefault(KEPT, {})
    found: Keys = kept.setdefault(frozenset(tenant.pk for tenant in tenants), keys)
    return found
