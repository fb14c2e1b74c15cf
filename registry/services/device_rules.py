"""The rules that a device must meet before it is saved; refusals name their field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from iotplatform.common.schema_errors import named_errors
from registry.choices import DeviceKind
from registry.models import Device, Product

Errors = list[dict[str, Any]]

MAX_TAGS = 50
NO_FETCHING: Registry[Any] = Registry()  # a schema must not make us open a URL
RELATIONS = (
    *("tenant", "project", "site", "space", "product", "hardware_revision", "batch"),
    "gateway",
)


def attribute_errors(product: Product, attributes: Any) -> Errors:
    """Return the errors of these attributes by the product's JSON Schema."""
    return errors_by_schema(attribute_validator(product), attributes)


def attribute_validator(product: Product) -> Draft202012Validator:
    """Return the product's JSON Schema, ready for many documents."""
    return Draft202012Validator(product.attributes_schema, registry=NO_FETCHING)


def errors_by_schema(schema: Draft202012Validator, attributes: Any) -> Errors:
    """Return the errors of attributes by a product's schema."""
    if not isinstance(attributes, dict):
        return [{"field": "attributes", "message": "Attributes are an object."}]
    try:
        found = sorted(schema.iter_errors(attributes), key=lambda e: e.json_path)
    except Unresolvable as error:
        text = f"The product's schema refers to a part that it lacks: {error.ref}"
        return [{"field": "attributes", "message": text}]
    except RecursionError:
        text = "The product's schema refers to itself endlessly."
        return [{"field": "attributes", "message": text}]
    except OverflowError:
        text = "Contains a number that is too large for the product's schema."
        return [{"field": "attributes", "message": text}]
    return [{**row} for row in named_errors(found, field="attributes")]


def device_errors(device: Device) -> Errors:
    """Return all errors of a device, without a query.

    Its relations must be loaded. Only the database checks uniqueness.
    """
    return [
        *_field_errors(device),
        *_relation_errors(device),
        *attribute_errors(device.product, device.attributes),
    ]


def _field_errors(device: Device) -> Iterator[dict[str, Any]]:
    try:
        device.clean_fields(exclude=RELATIONS)
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            for message in messages:
                yield {"field": field, "message": message}
    if len(device.tags) > MAX_TAGS:
        yield {"field": "tags", "message": f"At most {MAX_TAGS} tags."}


def _relation_errors(device: Device) -> Iterator[dict[str, Any]]:
    for name in ("site", "product", "project"):
        row = getattr(device, name)
        if row is not None and row.tenant_id != device.tenant_id:
            yield {"field": name, "message": f"There is no such {name}."}
    limit = device.tenant.limit
    place = {"project_id": device.project_id, "site_id": device.site_id}
    if limit is not None and not limit.holds(**place):
        yield {"field": "site", "message": "You may not access devices there."}
    yield from _part_errors(device)
    gateway = device.gateway
    if gateway is None:
        if device.kind == DeviceKind.CHILD:
            yield {"field": "gateway", "message": "A child needs a gateway."}
        return
    if gateway.pk is not None and gateway.pk == device.pk:
        yield {"field": "gateway", "message": "A device cannot be its own gateway."}
    elif gateway.tenant_id != device.tenant_id:
        yield {"field": "gateway", "message": "There is no such device."}
    elif device.kind != DeviceKind.CHILD:
        yield {"field": "gateway", "message": "Only a child may have a gateway."}
    elif gateway.kind != DeviceKind.GATEWAY:
        yield {"field": "gateway", "message": f"The device {gateway} is not a gateway."}


def _part_errors(device: Device) -> Iterator[dict[str, Any]]:
    """Check that space, revision and batch belong to the device's site and product."""
    space, revision, batch = device.space, device.hardware_revision, device.batch
    if space is not None and space.site_id != device.site_id:
        text = f"The space {space} is not at the site {device.site}."
        yield {"field": "space", "message": text}
    if revision is not None and revision.product_id != device.product_id:
        text = (
            f"The revision {revision} does not belong to the product {device.product}."
        )
        yield {"field": "hardware_revision", "message": text}
    if batch is not None and batch.hardware_revision_id != device.hardware_revision_id:
        text = f"The batch {batch} does not belong to the device's hardware revision."
        yield {"field": "batch", "message": text}
