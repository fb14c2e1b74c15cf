"""Conditions of the rows that a caller may access in their tenants.

``registry.permissions.tenants_where`` returns tenants with the caller's limit. All rows
of devices are selected through this module, so that no selector forgets the limit
(``tests/registry/test_access.py`` looks for selectors that do).
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
    """Return the condition of the rows whose device the caller may access.

    ``device`` is the path from the row to its device; empty if the row is a device.
    """
    at = f"{device}__" if device else ""
    return _condition(tenants, f"{at}project__in", f"{at}site__in")


def sites_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of the sites that the caller may access."""
    return _condition(tenants, "project__in", "pk__in")


def at_site_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of the rows whose site the caller may access."""
    return _condition(tenants, "site__project__in", "site__in")


def projects_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of the projects that the caller may access."""
    whole, limited = _split_by_limit(tenants)
    found = Q(tenant__in=whole)
    for tenant in limited:
        assert tenant.limit is not None
        found |= Q(tenant=tenant.pk, pk__in=list(tenant.limit.projects))
    return found


def uids_within(tenants: Iterable[Tenant]) -> Q:
    """Return the condition of rows that refer to a device only by its uid."""
    whole, limited = _split_by_limit(tenants)
    found = Q(tenant__in=whole)
    if limited:
        devices = Device.objects.filter(within(limited), uid=OuterRef("uid"))
        found |= Q(Exists(devices), tenant__in=limited)
    return found


def sets_within(tenants: Iterable[Tenant], members: QuerySet[Any], *, owner: str) -> Q:
    """Return the condition of sets with no device that the caller may not access.

    ``members`` are the sets' rows with a ``device``; ``owner`` points to their set. A
    limited member sees no set with a device outside their limit.
    """
    whole, limited = _split_by_limit(tenants)
    found = Q(tenant__in=whole)
    for tenant in limited:
        beyond = members.filter(**{owner: OuterRef("pk")}).exclude(
            Exists(Device.objects.filter(within([tenant]), pk=OuterRef("device_id")))
        )
        found |= Q(~Exists(beyond), tenant=tenant.pk)
    return found


def created_within(tenants: Iterable[Tenant], *, author: str) -> Q:
    """Return the condition of what limited members of these tenants created."""
    found = Q(pk__in=[])
    for tenant in _split_by_limit(tenants)[1]:
        assert tenant.limit is not None
        if tenant.limit.user_id is not None:
            found |= Q(**{author: tenant.limit.user_id}, tenant=tenant.pk)
    return found


def sql_within(tenants: Iterable[Tenant], alias: str) -> tuple[str, list[Any]]:
    """Return ``within`` as SQL for a device row with this alias, and its parameters."""
    whole, limited = _split_by_limit(tenants)
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


def attach_caller_tenant(row: Row | None, tenants: Sequence[Tenant]) -> Row | None:
    """Set the caller's tenant object, which carries their limit, on a found row."""
    if row is not None:
        for tenant in tenants:
            if tenant.pk == row.tenant_id:  # type: ignore[attr-defined]
                row.tenant = tenant  # type: ignore[attr-defined]
    return row


def _condition(tenants: Iterable[Tenant], project: str, site: str) -> Q:
    whole, limited = _split_by_limit(tenants)
    found = Q(tenant__in=whole)
    for tenant in limited:
        assert tenant.limit is not None
        inside = Q(**{project: list(tenant.limit.projects)})
        inside |= Q(**{site: list(tenant.limit.sites)})
        found |= Q(tenant=tenant.pk) & inside
    return found


def _split_by_limit(tenants: Iterable[Tenant]) -> tuple[list[Tenant], list[Tenant]]:
    rows = list(tenants)
    whole = [row for row in rows if row.limit is None]
    return whole, [row for row in rows if row.limit is not None]
