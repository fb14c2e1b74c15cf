"""The devices of an edit: read and written in one statement each, for any number."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

from iotplatform.common import bulk_sql
from iotplatform.common.ids import new_public_id_text
from registry.choices import CONNECTS
from registry.models import LifecycleMove, Product, Tenant, User
from registry.selectors.access import sql_within
from registry.services.credentials import revoke_credentials_of
from registry.services.device_rules import attribute_validator

Document = dict[str, Any]

_READ = """
    SELECT d.id, d.uid, d.product_id, s.slug, p.slug, d.lifecycle,
        to_json(d.tags)::text, d.attributes::text
    FROM registry_device d JOIN registry_site s ON s.id = d.site_id
    LEFT JOIN registry_space p ON p.id = d.space_id
    WHERE d.id = ANY(%s) AND {access} ORDER BY d.id
"""
# A column that no device of a batch changes is not named: triggers look at names.
_SETS = {
    "tags": "tags = ARRAY(SELECT jsonb_array_elements_text(v.tags))",
    "site": "site_id = s.id, space_id = p.id",
    "lifecycle": "lifecycle = v.lifecycle",
    "attributes": "attributes = v.attributes",
}
_WRITE = """
    UPDATE registry_device AS t SET {sets}, updated_at = %s
    FROM unnest(%s::bigint[], %s::jsonb[], %s::text[], %s::text[], %s::text[],
            %s::jsonb[]) AS v(id, tags, site, space, lifecycle, attributes)
    JOIN registry_device d ON d.id = v.id
    JOIN registry_site s ON s.tenant_id = d.tenant_id AND s.slug = v.site
    LEFT JOIN registry_space p ON p.tenant_id = d.tenant_id AND p.slug = v.space
    WHERE t.id = v.id
"""
_MOVE_COLUMNS = (
    *("public_id", "tenant_id", "device_id", "at", "moved_from", "moved_to"),
    *("reason", "actor_id"),
)
_RECORD_MOVES = bulk_sql.insert_rows(LifecycleMove, *_MOVE_COLUMNS)


class EditableDevice(NamedTuple):
    """What an edit needs to know of a device; site and space by their slugs."""

    id: int
    uid: str
    product_id: int
    site: str
    space: str | None
    lifecycle: str
    tags: list[str]
    attributes: Document


@dataclass
class EditedDevice:
    """What becomes of a device: the values that change, before and after.

    Of the attributes, only the keys that change; one that is missing has no value.
    """

    row: EditableDevice
    before: Document = field(default_factory=dict)
    after: Document = field(default_factory=dict)
    # All attributes after it, if some change.
    attributes: Document | None = None
    reason: str = ""  # why it, or a part of it, stays as it is
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Leave the device as it is."""
        self.before, self.after, self.attributes = {}, {}, None
        self.reason = reason

    @property
    def values(self) -> EditableDevice:
        """The device after it."""
        kept = {k: v for k, v in self.after.items() if k != "attributes"}
        if self.attributes is not None:
            kept["attributes"] = self.attributes
        return self.row._replace(**kept)


def read_rows(
    tenant: Tenant, device_ids: Collection[int], *, lock: bool
) -> list[EditableDevice]:
    """Return those of these devices that the caller may access, in key order."""
    access, params = sql_within([tenant], "d")
    end = "FOR NO KEY UPDATE OF d" if lock else ""
    found = bulk_sql.fetch(
        _READ.format(access=access) + end, [sorted(device_ids), *params]
    )
    # Not msgspec: attributes may have whole numbers of any size.
    return [
        EditableDevice._make([*row[:6], json.loads(row[6]), json.loads(row[7])])
        for row in found
    ]


def validators_of(
    rows: Sequence[EditableDevice],
) -> Mapping[int, Draft202012Validator]:
    """Return the attributes' schemas of the products of these devices."""
    products = Product.objects.filter(pk__in={row.product_id for row in rows})
    return {product.pk: attribute_validator(product) for product in products}


def write_rows(
    tenant: Tenant,
    edited: Sequence[EditedDevice],
    *,
    reason: str,
    actor: User | None,
    now: datetime,
) -> None:
    """Write the devices that change, which the caller has locked."""
    changed = [each for each in edited if each.after]
    names = {name for each in changed for name in each.after}
    sets = ", ".join(text for name, text in _SETS.items() if name in names)
    if not sets:
        return
    columns = [
        (
            *(row.id, json.dumps(row.tags), row.site, row.space),
            *(row.lifecycle, json.dumps(row.attributes)),
        )
        for row in (each.values for each in changed)
    ]
    bulk_sql.run(_WRITE.format(sets=sets), [now, *bulk_sql.columns_of(columns, 6)])
    moved = [each for each in changed if "lifecycle" in each.after]
    if moved:
        _record_moves(tenant, moved, reason=reason, actor=actor, now=now)


def _record_moves(
    tenant: Tenant,
    moved: Sequence[EditedDevice],
    *,
    reason: str,
    actor: User | None,
    now: datetime,
) -> None:
    rows = [
        (
            *(new_public_id_text(), tenant.pk, each.row.id, now, each.row.lifecycle),
            *(each.after["lifecycle"], reason, actor.pk if actor else None),
        )
        for each in moved
    ]
    bulk_sql.run(_RECORD_MOVES, bulk_sql.columns_of(rows, len(_MOVE_COLUMNS)))
    cut_off = [e.row.id for e in moved if e.after["lifecycle"] not in CONNECTS]
    if cut_off:
        revoke_credentials_of(cut_off)
