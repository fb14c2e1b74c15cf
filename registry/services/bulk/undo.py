"""Undoing an edit of many devices: their values before it, where they still apply."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from jsonschema import Draft202012Validator

from registry.choices import CONNECTS, MOVES, Lifecycle
from registry.models import Space, Tenant, User
from registry.selectors.places import list_sites
from registry.services.bulk.rows import (
    Document,
    EditedDevice,
    read_rows,
    validators_of,
    write_rows,
)
from registry.services.device_rules import errors_by_schema

Places = set[tuple[str, str | None]]  # a site, or a space of it


@transaction.atomic
def restore_devices(
    *,
    tenant: Tenant,
    edited: Mapping[int, tuple[Document, Document]],
    reason: str,
    actor: User | None,
    now: datetime,
) -> list[EditedDevice]:
    """Give devices the values back that they had before an edit.

    ``edited`` has those values before and after it. The ``reason`` of an answer names
    each value that stays: somebody changed it since, its site is gone, the product no
    longer allows it, the credentials of a retired device are revoked. Devices that the
    caller may not access are left out.
    """
    found = [EditedDevice(row) for row in read_rows(tenant, list(edited), lock=True)]
    places = _places(tenant, [before for before, _ in edited.values()])
    validators = validators_of([each.row for each in found])
    for each in found:
        before, after = edited[each.row.id]
        kept = [
            *_restore_tags(each, before, after),
            *_restore_site(each, before, after, places),
            *_restore_lifecycle(each, before, after),
            *_restore_attributes(each, before, after, validators),
        ]
        each.reason = "; ".join(kept)
    write_rows(tenant, found, reason=reason, actor=actor, now=now)
    return found


def _restore_tags(each: EditedDevice, before: Document, after: Document) -> list[str]:
    if "tags" not in before:
        return []
    if each.row.tags != after["tags"]:
        return ["tags: changed since"]
    each.after["tags"] = before["tags"]
    return []


def _restore_site(
    each: EditedDevice, before: Document, after: Document, places: Places
) -> list[str]:
    if "site" not in before:
        return []
    if (each.row.site, each.row.space) != (after["site"], after["space"]):
        return ["site: changed since"]
    if (before["site"], before["space"]) not in places:
        return [f"site: {before['space'] or before['site']} is gone"]
    each.after |= {"site": before["site"], "space": before["space"]}
    return []


def _restore_lifecycle(
    each: EditedDevice, before: Document, after: Document
) -> list[str]:
    if "lifecycle" not in before:
        return []
    if each.row.lifecycle != after["lifecycle"]:
        return ["lifecycle: changed since"]
    now, back = Lifecycle(after["lifecycle"]), Lifecycle(before["lifecycle"])
    # A correction may go where no arrow leads, unless credentials were revoked.
    if back not in MOVES[now] and not {now, back} <= CONNECTS:
        return [f"lifecycle: {now.label} cannot become {back.label}"]
    each.after["lifecycle"] = back.value
    return []


def _restore_attributes(
    each: EditedDevice,
    before: Document,
    after: Document,
    validators: Mapping[int, Draft202012Validator],
) -> list[str]:
    if "attributes" not in before:
        return []
    old, new, own = before["attributes"], after["attributes"], each.row.attributes
    touched = sorted({*old, *new})
    moved = [k for k in touched if (k in own, own.get(k)) != (k in new, new.get(k))]
    kept = [f"attributes.{key}: changed since" for key in moved]
    restored = [key for key in touched if key not in moved]
    if not restored:
        return kept
    rest = {key: value for key, value in own.items() if key not in restored}
    document = rest | {key: old[key] for key in restored if key in old}
    if errors := errors_by_schema(validators[each.row.product_id], document):
        return [*kept, f"{errors[0]['field']}: {errors[0]['message']}"]
    each.after["attributes"] = {key: old[key] for key in restored if key in old}
    each.attributes = document
    return kept


def _places(tenant: Tenant, before: list[Document]) -> Places:
    """Return the sites and spaces of former values that there are still."""
    sites = {document["site"] for document in before if "site" in document}
    if not sites:
        return set()
    mine = list_sites(tenants=[tenant]).filter(slug__in=sites)
    found: Places = {(slug, None) for slug in mine.values_list("slug", flat=True)}
    spaces = Space.objects.filter(site__in=mine.values("pk"))
    return found | set(spaces.values_list("site__slug", "slug"))
