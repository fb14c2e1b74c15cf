"""From the caller's tenants to a condition: what of a tenant they reach.

``registry.permissions.tenants_where`` returns tenants that carry their member's limit.
Whatever belongs to a device is selected through this module, so that a limit cannot be
forgotten (``tests/registry/test_reach.py`` looks for selectors that do).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from registry.models import Device, Tenant

Row = TypeVar("Row", bound=Model)
LIMIT_SQL = (
    "({a}.tenant_id = %s AND ({a}.project_id = ANY(%s) OR {a}.site_id = ANY(%s)))"
)


def within(tenants: Iterable[Tenant], *, device: str = "") -> Q:
    """Return the condition of rows of devices that these tenants' caller reaches.

    ``device`` is the path from the row to its device; none: the row is one.
    """
    at = f"{device}__" if device else ""
    return _condition(tenants, f"{at}project__in", f"{at}site__in")


def sites_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of the sites that the caller reaches."""
    return _condition(tenants, "project__in", "pk__in")


def at_site_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of rows that belong to a site the caller reaches."""
    return _condition(tenants, "site__project__in", "site__in")


def projects_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of the projects that the caller reaches."""
    whole, limited = _parted(tenants)
    found = Q(tenant__in=whole)
    for tenant in limited:
        assert tenant.limit is not None
        found |= Q(tenant=tenant.pk, pk__in=list(tenant.limit.projects))
    return found


def uids_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of rows that name a device by uid alone."""
    whole, limited = _parted(tenants)
    found = Q(tenant__in=whole)
    if limited:
        devices = Device.objects.filter(within(limited), uid=OuterRef("uid"))
        found |= Q(Exists(devices), tenant__in=limited)
    return found


def sets_within(tenants: Iterable[Tenant], members: QuerySet[Any], *, owner: str) -> Q:
    """Return the condition of sets of devices none of which is out of reach.

    ``members`` are the sets' rows with a ``device``; ``owner`` points to their set. A
    limited member sees no set that says something of devices beyond the limit.
    """
    whole, limited = _parted(tenants)
    found = Q(tenant__in=whole)
    for tenant in limited:
        beyond = members.filter(**{owner: OuterRef("pk")}).exclude(
            Exists(Device.objects.filter(within([tenant]), pk=OuterRef("device_id")))
        )
        found |= Q(~Exists(beyond), tenant=tenant.pk)
    return found


def sql_within(tenants: Iterable[Tenant], alias: str) -> tuple[str, list[Any]]:
    """Return ``within`` as SQL about a device's row of this alias, and parameters."""
    whole, limited = _parted(tenants)
    parts, values = [f"{alias}.tenant_id = ANY(%s)"], [[row.pk for row in whole]]
    for tenant in limited:
        assert tenant.limit is not None
        parts.append(LIMIT_SQL.format(a=alias))
        values += [
            tenant.pk,  # type: ignore[list-item]
            list(tenant.limit.projects),
            list(tenant.limit.sites),
        ]
    return f"({' OR '.join(parts)})", values


def carry(row: Row | None, tenants: Sequence[Tenant]) -> Row | None:
    """Give a found row the caller's own tenant: with it, the limit goes further."""
    if row is not None:
        for tenant in tenants:
            if tenant.pk == row.tenant_id:  # type: ignore[attr-defined]
                row.tenant = tenant  # type: ignore[attr-defined]
    return row


def _condition(tenants: Iterable[Tenant], project: str, site: str) -> Q:
    whole, limited = _parted(tenants)
    found = Q(tenant__in=whole)
    for tenant in limited:
        assert tenant.limit is not None
        inside = Q(**{project: list(tenant.limit.projects)})
        inside |= Q(**{site: list(tenant.limit.sites)})
        found |= Q(tenant=tenant.pk) & inside
    return found


def _parted(tenants: Iterable[Tenant]) -> tuple[list[Tenant], list[Tenant]]:
    rows = list(tenants)
    whole = [row for row in rows if row.limit is None]
    return whole, [row for row in rows if row.limit is not None]
