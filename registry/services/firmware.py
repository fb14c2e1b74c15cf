"""Writes of firmware releases: row, products, revisions, and the stored file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.files import File
from django.db import IntegrityError, transaction
from psycopg import errors as pg

from iotplatform.common.problems import BadInput, Conflict, TooLarge
from registry.models import (
    FirmwareHardware,
    FirmwareProduct,
    FirmwareRelease,
    HardwareRevision,
    Product,
    Tenant,
    User,
)
from registry.services.constraint_errors import refusal, save_checked

CHANGEABLE = frozenset({"signature", "notes", "products", "hardware_revisions"})


def create_release(
    *,
    tenant: Tenant,
    version: str,
    file: File[bytes],
    products: Sequence[Product],
    hardware_revisions: Sequence[HardwareRevision] = (),
    signature: str = "",
    notes: str = "",
    actor: User | None = None,
) -> FirmwareRelease:
    """Store a file as a firmware release.

    Raises BadInput naming the wrong field, TooLarge for a file above the limit, and
    Conflict if one of the products has this version. A refused file is deleted.
    """
    _refuse_size(file.size)
    _check_parts(tenant, products, hardware_revisions)
    row = FirmwareRelease(
        tenant=tenant,
        version=version,
        signature=signature,
        notes=notes,
        created_by=actor,
    )
    row.clean_fields(exclude=("tenant", "file", "size", "sha256", "created_by"))
    row.size, row.sha256 = _measure(file)
    row.file.save("", file, save=False)
    try:
        with transaction.atomic():
            save_checked(row)
            _join(row, products, hardware_revisions)
    except BaseException:
        row.file.storage.delete(str(row.file.name))
        raise
    return row


@transaction.atomic
def update_release(
    release: FirmwareRelease, *, changes: Mapping[str, Any]
) -> FirmwareRelease:
    """Change products, revisions, signature and notes; version and file stay.

    Raises BadInput naming the wrong field, and Conflict if one of the products has this
    version already.
    """
    if unknown := changes.keys() - CHANGEABLE:
        errors = [
            {"field": n, "message": "This cannot be changed."} for n in sorted(unknown)
        ]
        raise BadInput(errors=errors)
    row = FirmwareRelease.objects.select_for_update(no_key=True).get(pk=release.pk)
    products = changes.get("products", list(row.products.all()))
    revisions = changes.get("hardware_revisions", list(row.hardware_revisions.all()))
    _check_parts(row.tenant, products, revisions)
    row.signature = changes.get("signature", row.signature)
    row.notes = changes.get("notes", row.notes)
    save_checked(row)
    for_products = FirmwareProduct.objects.filter(release=row)
    for_products.exclude(product__in=products).delete()
    for_hardware = FirmwareHardware.objects.filter(release=row)
    for_hardware.exclude(hardware_revision__in=revisions).delete()
    known = set(for_products.values_list("product", flat=True))
    built = set(for_hardware.values_list("hardware_revision", flat=True))
    _join(
        row,
        [product for product in products if product.pk not in known],
        [revision for revision in revisions if revision.pk not in built],
    )
    return row


@transaction.atomic
def delete_release(release: FirmwareRelease) -> None:
    """Delete a release; its file goes after the commit."""
    name, storage = str(release.file.name), release.file.storage
    release.delete()
    transaction.on_commit(lambda: storage.delete(name))


def _refuse_size(size: int) -> None:
    """Raise TooLarge, naming the file, above the limit of a release."""
    most = settings.FIRMWARE_MAX_BYTES
    if size > most:
        message = f"At most {most} bytes."
        errors = [{"field": "file", "message": message}]
        raise TooLarge("The file is too long.", errors=errors)


def _measure(file: File[bytes]) -> tuple[int, str]:
    """Return the size and SHA-256 of a file, reading it in pieces."""
    size, digest = 0, hashlib.sha256()
    for piece in file.chunks():
        size += len(piece)
        digest.update(piece)
    file.seek(0)
    if not size:
        raise BadInput(file="The file is empty.")
    return size, digest.hexdigest()


def _check_parts(
    tenant: Tenant, products: Sequence[Product], revisions: Sequence[HardwareRevision]
) -> None:
    """Refuse a release without products, with products of another tenant, or with
    revisions of other products.
    """
    if not products:
        raise BadInput(products="Name at least one product.")
    if any(product.tenant_id != tenant.pk for product in products):
        raise BadInput(products="There is no such product.")
    named = {product.pk for product in products}
    strays = [row.slug for row in revisions if row.product_id not in named]
    if strays:
        message = f"Not revisions of the products: {', '.join(strays)}."
        raise BadInput(hardware_revisions=message)


def _join(
    row: FirmwareRelease,
    products: Iterable[Product],
    revisions: Iterable[HardwareRevision],
) -> None:
    """Store products and revisions of the release, each in the order of keys."""
    own = {"tenant_id": row.tenant_id, "release": row}
    try:
        with transaction.atomic():
            FirmwareProduct.objects.bulk_create(
                FirmwareProduct(**own, product=product, version=row.version)
                for product in sorted(set(products), key=lambda product: product.pk)
            )
            FirmwareHardware.objects.bulk_create(
                FirmwareHardware(**own, hardware_revision=revision)
                for revision in sorted(set(revisions), key=lambda revision: revision.pk)
            )
    except IntegrityError as error:
        if isinstance(error.__cause__, pg.UniqueViolation):
            message = f"One of the products has a release {row.version} already."
            errors = [{"field": "version", "message": message}]
            raise Conflict(message, errors=errors) from error
        raise refusal(error) from error
