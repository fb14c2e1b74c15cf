"""One change of many devices: tags, site, lifecycle and attributes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from jsonschema import Draft202012Validator

from iotplatform.common.problems import BadInput
from iotplatform.common.storable import is_storable
from registry.choices import MOVES, Lifecycle
from registry.exceptions import NoSuchObject
from registry.models import Site, Tenant, User
from registry.selectors.places import get_site
from registry.services.bulk.rows import (
    Document,
    EditableDevice,
    EditedDevice,
    read_rows,
    validators_of,
    write_rows,
)
from registry.services.device_rules import MAX_TAGS, Errors, errors_by_schema
from registry.services.lifecycle import checked_target
from registry.validators import validate_tag


@dataclass(frozen=True)
class BulkEdit:
    """What becomes of every device of a set; what is empty stays as it is."""

    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    site: Site | None = None
    lifecycle: str = ""
    attributes: Document = field(default_factory=dict)  # null removes a key


def read_edit(*, tenant: Tenant, wanted: Mapping[str, Any]) -> BulkEdit:
    """Check what does not depend on the devices; raises BadInput naming ``set.…``."""
    errors: Errors = []
    tags: Mapping[str, Any] = wanted.get("tags") or {}
    add, remove = (tuple(tags.get(name) or ()) for name in ("add", "remove"))
    errors += _tag_errors(add, remove)
    site, lifecycle = None, wanted.get("lifecycle") or ""
    if wanted.get("site"):
        try:
            site = get_site(tenants=[tenant], slug=wanted["site"])
        except NoSuchObject:
            errors.append({"field": "set.site", "message": "There is no such site."})
    if lifecycle:
        try:
            checked_target(lifecycle)
        except BadInput as refusal:
            message = refusal.errors[0]["message"]
            errors.append({"field": "set.lifecycle", "message": message})
    attributes = wanted.get("attributes") or {}
    if problem := _why_not_storable(attributes):
        errors.append({"field": "set.attributes", "message": problem})
    if not errors and not (add or remove or site or lifecycle or attributes):
        errors = [{"field": "set", "message": "Say what to change."}]
    if errors:
        raise BadInput(errors=errors)
    return BulkEdit(add, remove, site, lifecycle, attributes)


def preview_edit(
    *, tenant: Tenant, device_ids: Collection[int], edit: BulkEdit
) -> list[EditedDevice]:
    """Return what the edit would do to each of these devices; changes nothing."""
    return _judged(read_rows(tenant, device_ids, lock=False), edit)


@transaction.atomic
def edit_devices(
    *,
    tenant: Tenant,
    device_ids: Collection[int],
    edit: BulkEdit,
    reason: str,
    actor: User | None,
    now: datetime,
) -> list[EditedDevice]:
    """Change these devices in a few statements; return what became of each.

    One that may not be changed as wanted stays as it is, with the reason: its lifecycle
    does not allow the move, its attributes would not match its product's schema, it
    would have too many tags. A device that moves to another site leaves its space.
    Devices that the caller may not access are left out.
    """
    judged = _judged(read_rows(tenant, device_ids, lock=True), edit)
    write_rows(tenant, judged, reason=reason, actor=actor, now=now)
    return judged


class _Checker:
    """Checks attributes by the schemas of the products; each document only once."""

    def __init__(self, validators: Mapping[int, Draft202012Validator]) -> None:
        self._validators = validators
        self._known: dict[tuple[int, str], Errors] = {}

    def errors(self, row: EditableDevice, attributes: Document) -> Errors:
        key = (row.product_id, json.dumps(attributes, sort_keys=True))
        if key not in self._known:
            schema = self._validators[row.product_id]
            self._known[key] = errors_by_schema(schema, attributes)
        return self._known[key]


def _judged(rows: Sequence[EditableDevice], edit: BulkEdit) -> list[EditedDevice]:
    checker = _Checker(validators_of(rows) if edit.attributes else {})
    return [_judge(row, edit, checker) for row in rows]


def _judge(row: EditableDevice, edit: BulkEdit, checker: _Checker) -> EditedDevice:
    found = EditedDevice(row)
    refusals = [
        *_judge_tags(found, edit),
        *_judge_place(found, edit),
        *_judge_attributes(found, edit, checker),
    ]
    if refusals:
        found.refuse("; ".join(refusals))
    return found


def _judge_tags(found: EditedDevice, edit: BulkEdit) -> list[str]:
    before = found.row.tags
    kept = [tag for tag in before if tag not in edit.remove_tags]
    after = list(dict.fromkeys([*kept, *edit.add_tags]))
    if after == before:
        return []
    found.before["tags"], found.after["tags"] = before, after
    if len(after) > MAX_TAGS:
        return [f"would have {len(after)} tags; at most {MAX_TAGS}"]
    return []


def _judge_place(found: EditedDevice, edit: BulkEdit) -> list[str]:
    """Judge the move to another site, and in the lifecycle."""
    row = found.row
    if edit.site and edit.site.slug != row.site:
        found.before |= {"site": row.site, "space": row.space}
        found.after |= {"site": edit.site.slug, "space": None}
    if not edit.lifecycle or edit.lifecycle == row.lifecycle:
        return []
    found.before["lifecycle"] = row.lifecycle
    found.after["lifecycle"] = edit.lifecycle
    now, to = Lifecycle(row.lifecycle), Lifecycle(edit.lifecycle)
    return [] if to in MOVES[now] else [f"is {now.label}: it cannot become {to.label}"]


def _judge_attributes(
    found: EditedDevice, edit: BulkEdit, checker: _Checker
) -> list[str]:
    wanted, own = edit.attributes, found.row.attributes
    before = {key: own[key] for key in wanted if key in own}
    after = {key: value for key, value in wanted.items() if value is not None}
    if before == after:
        return []
    found.before["attributes"], found.after["attributes"] = before, after
    found.attributes = {k: v for k, v in own.items() if k not in wanted} | after
    found.errors = checker.errors(found.row, found.attributes)
    return [f"{row['field']}: {row['message']}" for row in found.errors[:1]]


def _why_not_storable(attributes: Document) -> str:
    try:
        text = json.dumps(attributes, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        return "Is nested too deeply."
    except ValueError:
        return "Contains a number that is not finite."
    if not is_storable(text) or "\\u0000" in text:
        return "Contains a character that cannot be stored."
    return ""


def _tag_errors(add: Sequence[str], remove: Sequence[str]) -> Errors:
    errors: Errors = []
    for name, tags in (("add", add), ("remove", remove)):
        for tag in tags:
            try:
                validate_tag(tag)
            except ValidationError as error:
                text = f"{tag!r}: {error.messages[0]}"
                errors.append({"field": f"set.tags.{name}", "message": text})
    if both := sorted(set(add) & set(remove)):
        text = f"Both to add and to remove: {', '.join(both)}."
        errors.append({"field": "set.tags.remove", "message": text})
    return errors
