"""Reads of the audit log, with names in the place of keys."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db.models import ForeignKey, Model, Q, QuerySet

from registry.models import AuditEntry, Device, Tenant
from registry.models.audit import AuditAction
from registry.selectors.access import within

# The first that a model has is what people call its rows.
NAMES = ("uid", "slug", "username", "name", "target_hash", "public_id")


@dataclass(frozen=True)
class Told:
    """One entry as people read it: rows are named, not numbered."""

    entry: AuditEntry
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def list_entries(
    *, tenants: Sequence[Tenant], of_platform: bool = False
) -> QuerySet[AuditEntry]:
    """Return what was changed in these tenants, and of the platform where asked."""
    reached = within(tenants)
    if of_platform:
        reached |= Q(tenant__isnull=True)
    return AuditEntry.objects.filter(reached).select_related("tenant", "device")


def list_entries_of(device: Device) -> QuerySet[AuditEntry]:
    """Return what was changed of a device and what hangs on it, by its owner's view."""
    rows = AuditEntry.objects.filter(device=device, tenant=device.tenant_id)
    return rows.order_by("-pk")


# They tell of themselves in a device's history.
_TOLD_ELSEWHERE = ("command", "alarm", "field_feedback", "twin", "maintenance_window")


def list_edits_of(device: Device) -> QuerySet[AuditEntry]:
    """Return what was changed in the registry's row and credentials of a device.

    Its registration and its lifecycle are moves, which have a history of their own.
    """
    rows = list_entries_of(device).exclude(kind__in=_TOLD_ELSEWHERE)
    moves = Q(action=AuditAction.CREATED) | Q(after__has_key="lifecycle")
    return rows.exclude(moves, kind="device")


def find_object(rows: QuerySet[AuditEntry], text: str) -> QuerySet[AuditEntry]:
    """Keep what is called so, begins so, or has this id."""
    return rows.filter(Q(object_name__startswith=text) | Q(object_id=text))


def tell(entries: Collection[AuditEntry]) -> list[Told]:
    """Return entries with names for keys: one query for each kind of row named."""
    wanted: dict[type[Model], set[Any]] = defaultdict(set)
    for entry in entries:
        for side in (entry.before, entry.after):
            for column, value in (side or {}).items():
                if value is not None and (model := _named_by(entry.kind, column)):
                    wanted[model].add(value)
    names = {model: _names(model, keys) for model, keys in wanted.items()}
    return [
        Told(entry, _told(entry, entry.before, names), _told(entry, entry.after, names))
        for entry in entries
    ]


def list_kinds() -> list[str]:
    """Return the kinds that the log may hold, by name."""
    return sorted(_models())


def _told(
    entry: AuditEntry,
    side: dict[str, Any] | None,
    names: dict[type[Model], dict[Any, str]],
) -> dict[str, Any] | None:
    if side is None:
        return None
    told = {}
    for column, value in side.items():
        model = _named_by(entry.kind, column)
        if model is None:
            told[column] = value
        else:
            # What is gone has no name left: its key says at least that it was one.
            told[column.removesuffix("_id")] = (
                None if value is None else names[model].get(value, f"#{value}")
            )
    return told


def _names(model: type[Model], keys: Collection[Any]) -> dict[Any, str]:
    fields = {field.name for field in model._meta.fields}
    name = next((name for name in NAMES if name in fields), "pk")
    rows = model._default_manager.filter(pk__in=keys).values_list("pk", name)
    return {key: str(value) for key, value in rows}


def _named_by(kind: str, column: str) -> type[Model] | None:
    return _keys(kind).get(column)


@cache
def _keys(kind: str) -> dict[str, type[Model]]:
    """Return the columns of a kind that are keys, with the model that each names."""
    model = _models().get(kind)
    if model is None:
        return {}
    return {
        field.attname: field.related_model
        for field in model._meta.fields
        if isinstance(field, ForeignKey) and isinstance(field.related_model, type)
    }


@cache
def _models() -> dict[str, type[Model]]:
    """Return every model by its name in snake case, as the triggers write it."""
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model.__name__).lower(): model
        for model in apps.get_models(include_auto_created=True)
    }
