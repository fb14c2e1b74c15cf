"""Checks whether a row can be a device of the tenant, without a query per row.

The rules are those of a single registration (services/device_rules.py). Names are
looked up in a catalogue that is loaded once. Most rows of a large file need no check of
their own (known_parts.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from iotplatform.common.ids import UID
from iotplatform.common.problems import BadInput
from iotplatform.common.storable import is_storable, storable_document
from registry.choices import Adapter, DeviceKind
from registry.models import Product
from registry.services.device_rules import (
    MAX_TAGS,
    attribute_validator,
    errors_by_schema,
)
from registry.services.imports.batches import Row
from registry.services.imports.catalogue import Catalogue, Part, Place
from registry.services.imports.decoding import Errors, row_error, why_not_text
from registry.services.imports.reading import TOO_DEEP
from registry.validators import (
    NO_UIDS,
    RESERVED,
    TAG,
    validate_tag,
    validate_uid,
)

LENGTHS = {"uid": 64, "name": 200, "serial": 64, "gateway": 64}
TEXTS = ("uid", "name", "serial", "gateway", "kind", "adapter")
CHOICES: dict[str, list[str]] = {"kind": DeviceKind.values, "adapter": Adapter.values}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device to insert; ``gateway`` is a uid."""

    line: int
    uid: str
    name: str
    serial: str
    project_id: int | None
    site_id: int
    space_id: int | None
    product_id: int
    hardware_revision_id: int | None
    batch_id: int | None
    kind: str
    gateway: str | None
    adapter: str
    tags: list[str]
    attributes: str  # JSON


@dataclass
class Checker:
    """Checks the rows of one file; remembers the values that must be unique."""

    catalogue: Catalogue
    uids: dict[str, int] = field(default_factory=dict)
    serials: dict[str, int] = field(default_factory=dict)
    schemas: dict[int, Draft202012Validator] = field(default_factory=dict)

    def check(self, row: Row) -> tuple[Candidate | None, Errors]:
        """Return the device, or None and its errors."""
        errors = list(row.errors)
        line, given = row.line, row.given
        if errors and not given:
            return None, errors
        for name in TEXTS:
            errors += self._text_errors(line, name, given.get(name))
        tags = self._tags(line, given.get("tags"), errors)
        site = self._named(line, given, "site", self.catalogue.sites, errors)
        product = self._named(line, given, "product", self.catalogue.products, errors)
        project = self._project(line, given, site, errors)
        space = self._optional(line, given, "space", self.catalogue.spaces, errors)
        if space and site and space.whole_id != site.id:
            message = f"It is not at the site {given['site']}."
            errors.append(row_error(line, "space", message, given["space"]))
        revision_id, batch_id = self._build(line, given, product, errors)
        if given.get("tenant") not in (None, self.catalogue.tenant.slug):
            message = f"The import is into {self.catalogue.tenant.slug}."
            errors.append(row_error(line, "tenant", message, given["tenant"]))
        attributes = self._attributes(row, product, errors)
        kind = given.get("kind") or (product.kind if product else "")
        errors += _gateway_errors(line, given, kind)
        errors += self._repeated(line, given)
        limit = self.catalogue.tenant.limit
        if limit and site and not limit.holds(project_id=project, site_id=site.id):
            message = "You may not access devices there."
            errors.append(row_error(line, "site", message, given["site"]))
        if errors or site is None or product is None:
            return None, errors
        candidate = Candidate(
            line=line,
            uid=given["uid"],
            name=(given.get("name") or "").strip(),
            serial=(given.get("serial") or "").strip(),
            project_id=project,
            site_id=site.id,
            space_id=space.id if space else None,
            product_id=product.pk,
            hardware_revision_id=revision_id,
            batch_id=batch_id,
            kind=kind,
            gateway=given.get("gateway"),
            adapter=given.get("adapter") or Adapter.MQTT,
            tags=tags,
            attributes=attributes,
        )
        return candidate, []

    def take(
        self, lines: Sequence[int], uids: Sequence[str], serials: Sequence[str | None]
    ) -> bool:
        """Take the uids and serials of some rows, or return False and take none."""
        taken = [(uid.lower(), line) for uid, line in zip(uids, lines, strict=True)]
        stripped = ((s or "").strip() for s in serials)
        named = [(s, line) for s, line in zip(stripped, lines, strict=True) if s]
        for seen, pairs in ((self.uids, taken), (self.serials, named)):
            new = dict(pairs)
            if len(new) < len(pairs) or not seen.keys().isdisjoint(new):
                return False
        self.uids.update(taken)
        self.serials.update(named)
        return True

    def tags_of(self, row: Row) -> list[str] | None:
        """Return the tags; None if anything is wrong with them."""
        errors: Errors = []
        tags = self._tags(row.line, row.given.get("tags"), errors)
        return None if errors else tags

    def attributes_of(self, row: Row) -> str | None:
        """Return the attributes as JSON; None if anything is wrong with them."""
        slug = row.given.get("product")
        product = self.catalogue.products.get(slug) if isinstance(slug, str) else None
        errors = list(row.errors)
        text = self._attributes(row, product, errors)
        return None if errors or product is None else text

    def _text_errors(self, line: int, name: str, value: Any) -> Errors:
        if value is None:
            if name != "uid":
                return []
            return [row_error(line, name, "This field is required.", None)]
        if not isinstance(value, str):
            return [row_error(line, name, "Not text.", value)]
        if not is_storable(value):
            return [row_error(line, name, why_not_text(value), value)]
        if name == "uid" and not UID.fullmatch(value):
            return [row_error(line, name, str(validate_uid.message), value)]
        if name == "uid" and value in NO_UIDS:
            return [row_error(line, name, RESERVED, value)]
        if name in CHOICES and value not in CHOICES[name]:
            message = f"One of: {', '.join(CHOICES[name])}."
            return [row_error(line, name, message, value)]
        if len(value) > LENGTHS.get(name, len(value)):
            message = f"At most {LENGTHS[name]} characters."
            return [row_error(line, name, message, value)]
        return []

    def _tags(self, line: int, value: Any, errors: Errors) -> list[str]:
        if value is None:
            return []
        if not isinstance(value, list):
            errors.append(row_error(line, "tags", "A list of tags.", value))
            return []
        for tag in value:
            if not isinstance(tag, str) or not TAG.fullmatch(tag):
                errors.append(row_error(line, "tags", str(validate_tag.message), tag))
        if len(value) > MAX_TAGS:
            errors.append(row_error(line, "tags", f"At most {MAX_TAGS} tags.", None))
        return list(dict.fromkeys(map(str, value)))

    def _named(
        self,
        line: int,
        given: Mapping[str, Any],
        name: str,
        known: Mapping[str, Any],
        errors: Errors,
    ) -> Any:
        slug = given.get(name)
        if slug is None:
            errors.append(row_error(line, name, "This field is required.", None))
            return None
        found = known.get(slug) if isinstance(slug, str) else None
        if found is None:
            errors.append(row_error(line, name, f"There is no such {name}.", slug))
        return found

    def _project(
        self, line: int, given: Mapping[str, Any], site: Place | None, errors: Errors
    ) -> int | None:
        if given.get("project") is None:
            return site.project_id if site else None
        found: int | None = self._named(
            line, given, "project", self.catalogue.projects, errors
        )
        return found

    def _optional(
        self,
        line: int,
        given: Mapping[str, Any],
        name: str,
        known: Mapping[str, Part],
        errors: Errors,
    ) -> Part | None:
        if given.get(name) is None:
            return None
        found: Part | None = self._named(line, given, name, known, errors)
        return found

    def _build(
        self,
        line: int,
        given: Mapping[str, Any],
        product: Product | None,
        errors: Errors,
    ) -> tuple[int | None, int | None]:
        """Return the revision (by default that of the batch) and the batch."""
        name, known = "hardware_revision", self.catalogue.revisions
        revision = self._optional(line, given, name, known, errors)
        batch = self._optional(line, given, "batch", self.catalogue.batches, errors)
        if revision is None and given.get(name) is not None:
            return None, None
        if batch and revision is None:
            revision = self.catalogue.revision_of(batch)
        if revision and product and revision.whole_id != product.pk:
            message = f"It does not belong to the product {given['product']}."
            shown = given[name if given.get(name) is not None else "batch"]
            errors.append(row_error(line, name, message, shown))
        if batch and revision and batch.whole_id != revision.id:
            message = f"It does not belong to the revision {given[name]}."
            errors.append(row_error(line, "batch", message, given["batch"]))
        return revision.id if revision else None, batch.id if batch else None

    def _attributes(self, row: Row, product: Product | None, errors: Errors) -> str:
        given = row.given.get("attributes")
        if given is None:
            given = {}
        if product is None:
            return "{}"
        if isinstance(given, dict) and row.cells:
            given = given | _typed(row.cells, product)
        try:
            text = json.dumps(given, allow_nan=False, sort_keys=True)
        except (ValueError, RecursionError) as error:
            is_deep = isinstance(error, RecursionError)
            message = TOO_DEEP if is_deep else "A number is not finite."
            errors.append(row_error(row.line, "attributes", message, None))
            return "{}"
        is_suspect = "\\u0000" in text or "\\ud" in text  # or an emoji, for example
        if is_suspect and storable_document(given) != given:
            raw = json.dumps(given, ensure_ascii=False).replace("\\u0000", "\0")
            errors.append(row_error(row.line, "attributes", why_not_text(raw), text))
            return "{}"
        if product.pk not in self.schemas:
            self.schemas[product.pk] = attribute_validator(product)
        errors += [
            row_error(row.line, error["field"], error["message"], given)
            for error in errors_by_schema(self.schemas[product.pk], given)
        ]
        return text

    def _repeated(self, line: int, given: Mapping[str, Any]) -> Errors:
        errors = []
        for name, seen in (("uid", self.uids), ("serial", self.serials)):
            value = given.get(name)
            if not isinstance(value, str) or not value.strip():
                continue
            key = value.lower() if name == "uid" else value.strip()
            first = seen.setdefault(key, line)
            if first != line:
                message = f"The same as in line {first}."
                errors.append(row_error(line, name, message, value))
        return errors


def _gateway_errors(line: int, given: Mapping[str, Any], kind: str) -> Errors:
    gateway = given.get("gateway")
    if kind == DeviceKind.CHILD and gateway is None:
        return [row_error(line, "gateway", "A child needs a gateway.", None)]
    if gateway is None:
        return []
    if gateway == given.get("uid"):
        message = "A device cannot be its own gateway."
        return [row_error(line, "gateway", message, gateway)]
    if kind and kind != DeviceKind.CHILD:
        return [row_error(line, "gateway", "Only a child may have a gateway.", gateway)]
    return []


def _typed(cells: Mapping[str, str], product: Product) -> dict[str, Any]:
    """Return cells in the types of the product's schema, or else as text."""
    rules = product.attributes_schema.get("properties", {})
    found: dict[str, Any] = {}
    for name, cell in cells.items():
        rule = rules.get(name)
        kind = rule.get("type") if isinstance(rule, dict) else None
        found[name] = cell
        if kind in ("number", "integer", "boolean"):
            try:
                found[name] = json.loads(cell)
            except (ValueError, RecursionError):
                pass  # it stays text, and the schema refuses it
    return found


def refuse(errors: Errors, count: int) -> BadInput:
    """Return the refusal of a file with its first errors."""
    listed = sorted(errors, key=lambda error: error["line"])
    if count > len(listed):
        detail = f"{count} errors; the first {len(listed)} are listed."
    else:
        detail = f"{count} error{'' if count == 1 else 's'}."
    return BadInput(f"Nothing was imported: {detail}", errors=listed)
