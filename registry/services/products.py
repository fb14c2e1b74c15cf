"""Writes of products, their hardware revisions and batches."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from iotplatform.common.problems import BadInput
from registry.models import Batch, Device, HardwareRevision, Product, Tenant
from registry.services.constraint_errors import (
    delete_unused,
    save_checked,
)
from registry.services.schema_changes import refuse_unfit


def create_product(
    *, tenant: Tenant, slug: str, name: str = "", **fields: Any
) -> Product:
    """Make a product. Raises BadInput naming each wrong field."""
    return save_product(Product(tenant=tenant, slug=slug, name=name or slug, **fields))


@transaction.atomic
def save_product(product: Product, *, force: bool = False) -> Product:
    """Save a changed product. Raises BadInput naming the wrong field.

    Existing devices keep their attributes. Raises DevicesDoNotFit for a new schema that
    some of them do not match, unless it is forced.
    """
    locked = Product.objects.select_for_update(no_key=True)
    before = locked.filter(pk=product.pk).values_list("attributes_schema", flat=True)
    schemas = list(before)
    save_checked(product)
    if schemas and schemas[0] != product.attributes_schema and not force:
        refuse_unfit(product)
    return product


@transaction.atomic
def update_product(product: Product, *, force: bool = False, **changes: Any) -> Product:
    """Change a product; ``force`` and refusals as in ``save_product``."""
    row = Product.objects.select_for_update(no_key=True).get(pk=product.pk)
    for field, value in changes.items():
        setattr(row, field, value)
    return save_product(row, force=force)


def delete_product(product: Product) -> None:
    """Delete a product; raises InUse while a device uses it."""
    delete_unused(
        product,
        Device.objects.filter(product=product),
        HardwareRevision.objects.filter(product=product),
    )


def create_revision(
    *, tenant: Tenant, slug: str, name: str = "", **fields: Any
) -> HardwareRevision:
    """Make a hardware revision. Raises BadInput naming each wrong field."""
    row = HardwareRevision(tenant=tenant, slug=slug, name=name or slug, **fields)
    return save_revision(row)


def save_revision(revision: HardwareRevision) -> HardwareRevision:
    """Save a changed revision. Raises BadInput naming the wrong field."""
    if revision.product.tenant_id != revision.tenant_id:
        raise BadInput(product="There is no such product.")
    save_checked(revision)
    return revision


@transaction.atomic
def update_revision(revision: HardwareRevision, **changes: Any) -> HardwareRevision:
    """Change a revision; its product stays."""
    _refuse_move(revision, changes, "product")
    rows = HardwareRevision.objects.select_for_update(no_key=True)
    row = rows.get(pk=revision.pk)
    for field, value in changes.items():
        setattr(row, field, value)
    return save_revision(row)


def delete_revision(revision: HardwareRevision) -> None:
    """Delete a revision; raises InUse while a device or a batch uses it."""
    delete_unused(
        revision,
        Device.objects.filter(hardware_revision=revision),
        Batch.objects.filter(hardware_revision=revision),
    )


def create_batch(*, tenant: Tenant, slug: str, name: str = "", **fields: Any) -> Batch:
    """Make a batch. Raises BadInput naming each wrong field."""
    return save_batch(Batch(tenant=tenant, slug=slug, name=name or slug, **fields))


def save_batch(batch: Batch) -> Batch:
    """Save a changed batch. Raises BadInput naming the wrong field."""
    if batch.hardware_revision.tenant_id != batch.tenant_id:
        raise BadInput(hardware_revision="There is no such hardware revision.")
    save_checked(batch)
    return batch


@transaction.atomic
def update_batch(batch: Batch, **changes: Any) -> Batch:
    """Change a batch; its revision stays."""
    _refuse_move(batch, changes, "hardware_revision")
    row = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    for field, value in changes.items():
        setattr(row, field, value)
    return save_batch(row)


def delete_batch(batch: Batch) -> None:
    """Delete a batch; raises InUse while a device uses it."""
    delete_unused(batch, Device.objects.filter(batch=batch))


def _refuse_move(row: Batch | HardwareRevision, changes: Any, field: str) -> None:
    """Refuse to move a revision to another product, or a batch to another revision."""
    if changes.get(field, getattr(row, field)) != getattr(row, field):
        raise BadInput(errors=[{"field": field, "message": "This cannot be changed."}])
