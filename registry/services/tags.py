"""Tags of many devices at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from iotplatform.common.problems import BadInput
from registry.models import Device, Tenant
from registry.selectors.access import within
from registry.services.device_rules import MAX_TAGS
from registry.validators import validate_tag

# Kept tags keep their order, new ones come last; unchanged devices are not written.
EDIT = """
    UPDATE registry_device d SET tags = new.tags, updated_at = now()
    FROM (
        SELECT d.id, ARRAY(
            SELECT tag FROM (
                SELECT tag, min(place) AS place
                FROM unnest(d.tags::varchar[] || %(add)s::varchar[])
                    WITH ORDINALITY AS t(tag, place)
                WHERE NOT tag = ANY(%(remove)s::varchar[]) GROUP BY tag
            ) kept ORDER BY place
        ) AS tags
        FROM registry_device d WHERE d.id = ANY(%(ids)s)
    ) new
    WHERE d.id = new.id AND d.tags::varchar[] <> new.tags
    RETURNING d.id, cardinality(d.tags), d.uid
"""


@transaction.atomic
def edit_tags(
    *,
    tenants: Collection[Tenant],
    device_ids: Collection[int],
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> list[int]:
    """Add and remove tags of a set of these tenants' devices: of all, or of none.

    Returns the ids of changed devices. Raises BadInput naming ``add`` or ``remove``.
    """
    errors = [
        {"field": field, "message": message}
        for field, tags in (("add", add), ("remove", remove))
        for message in _wrong(tags)
    ]
    if both := sorted(set(add) & set(remove)):
        text = f"Both to add and to remove: {', '.join(both)}."
        errors.append({"field": "remove", "message": text})
    if errors:
        raise BadInput(errors=errors)
    locked = (
        Device.objects.filter(within(tenants), pk__in=list(device_ids))
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",))
        .values_list("pk", flat=True)
    )
    given: dict[str, Any] = {
        "ids": list(locked),
        "add": list(add),
        "remove": list(remove),
    }
    with connection.cursor() as cursor:
        cursor.execute(EDIT, given)
        changed = cursor.fetchall()
    full = [f"{uid} would have {n}" for _, n, uid in changed if n > MAX_TAGS]
    if full:
        more = f" and {len(full) - 1} others too many" if len(full) > 1 else ""
        raise BadInput(add=f"At most {MAX_TAGS} tags of a device: {min(full)}{more}.")
    return sorted(pk for pk, _, _ in changed)


def _wrong(tags: Sequence[str]) -> list[str]:
    found = []
    for tag in tags:
        try:
            validate_tag(tag)
        except ValidationError as error:
            found += error.messages
    return found
