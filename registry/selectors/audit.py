"""Reads of the audit log, with names instead of keys."""

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

# The first of these columns that a model has is the name of its rows.
NAMES = ("uid", "slug", "username", "name", "target_hash", "public_id")


@dataclass(frozen=True)
class NamedEntry:
    """One entry for people to read: with the names of rows instead of their keys."""

    entry: AuditEntry
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def list_entries(
    *, tenants: Sequence[Tenant], of_platform: bool = False
) -> QuerySet[AuditEntry]:
    """Return the changes in these tenants, and those of no tenant if requested."""
    accessible = within(tenants)
    if of_platform:
        accessible |= Q(tenant__isnull=True)
    return AuditEntry.objects.filter(accessible).select_related("tenant", "device")


def list_entries_of(device: Device) -> QuerySet[AuditEntry]:
    """Return the changes of a device and its related rows under its current owner."""
    rows = AuditEntry.objects.filter(device=device, tenant=device.tenant_id)
    return rows.order_by("-pk")


# These have their own entries in a device's timeline.
_SHOWN_ELSEWHERE = ("command", "alarm", "field_feedback", "twin", "maintenance_window")


def list_edits_of(device: Device) -> QuerySet[AuditEntry]:
    """Return the changes of a device's registry row and credentials.

    Without registration and lifecycle: those are moves, with a log of their own.
    """
    rows = list_entries_of(device).exclude(kind__in=_SHOWN_ELSEWHERE)
    moves = Q(action=AuditAction.CREATED) | Q(after__has_key="lifecycle")
    return rows.exclude(moves, kind="device")


def find_object(rows: QuerySet[AuditEntry], text: str) -> QuerySet[AuditEntry]:
    """Keep the entries of objects whose name begins so, or that have this id."""
    return rows.filter(Q(object_name__startswith=text) | Q(object_id=text))


def name_keys(entries: Collection[AuditEntry]) -> list[NamedEntry]:
    """Replace keys by names, with one query for each kind of row."""
    wanted: dict[type[Model], set[Any]] = defaultdict(set)
    for entry in entries:
        for side in (entry.before, entry.after):
            for column, value in (side or {}).items():
                if value is not None and (model := _named_by(entry.kind, column)):
                    wanted[model].add(value)
    names = {model: _names(model, keys) for model, keys in wanted.items()}
    return [
        NamedEntry(
            entry,
            _with_names(entry, entry.before, names),
            _with_names(entry, entry.after, names),
        )
        for entry in entries
    ]


def list_kinds() -> list[str]:
    """Return the kinds of objects that the log may contain, sorted."""
    return sorted(_models())


def _with_names(
    entry: AuditEntry,
    side: dict[str, Any] | None,
    names: dict[type[Model], dict[Any, str]],
) -> dict[str, Any] | None:
    if side is None:
        return None
    named = {}
    for column, value in side.items():
        model = _named_by(entry.kind, column)
        if model is None:
            named[column] = value
        else:
            # A deleted row has no name any more; its key still tells rows apart.
            named[column.removesuffix("_id")] = (
                None if value is None else names[model].get(value, f"#{value}")
            )
    return named


def _names(model: type[Model], keys: Collection[Any]) -> dict[Any, str]:
    fields = {field.name for field in model._meta.fields}
    name = next((name for name in NAMES if name in fields), "pk")
    rows = model._default_manager.filter(pk__in=keys).values_list("pk", name)
    return {key: str(value) for key, value in rows}


def _named_by(kind: str, column: str) -> type[Model] | None:
    return _keys(kind).get(column)


@cache
def _keys(kind: str) -> dict[str, type[Model]]:
    """Return the foreign keys of a kind: column and model."""
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
