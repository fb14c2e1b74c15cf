"""Enrolment keys: people make them, and devices use them to register themselves."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from iotplatform.common import tenant_scope
from iotplatform.common.counts import counted
from iotplatform.common.problems import BadInput, Conflict, Forbidden
from iotplatform.common.row_lock import get_locked
from registry.choices import Adapter, DeviceKind
from registry.device_secrets import make_verifier, new_secret
from registry.exceptions import BrokerDoesNotAnswer
from registry.models import (
    Batch,
    Credential,
    Device,
    EnrolmentKey,
    Product,
    Site,
    Tenant,
    User,
)
from registry.selectors.enrolment import list_claimable_devices
from registry.selectors.tokens import digest_of
from registry.services.credentials import bring_into_force, create_credential
from registry.services.devices import DeviceDraft, register_device
from registry.validators import UID_TAKEN, UID_TAKEN_IN_OTHER_CASE

KEY_MARK = "enrol_"  # so that a scanner of leaked secrets recognises one
KEY_BYTES = 32
PREFIX_LENGTH = 12
CHANGEABLE = frozenset({"name", "site", "max_devices", "expires_at"})
UIDS_TAKEN = frozenset({UID_TAKEN, UID_TAKEN_IN_OTHER_CASE})
NOT_CLAIMABLE = (
    "This key cannot enrol this device: its uid is taken, it had a credential before,"
    " or it is of another product or batch. Ask the person who gave you the key."
)


@dataclass(frozen=True, kw_only=True)
class EnrolRequest:
    """The data that a device sends; a claimed device keeps what was imported."""

    uid: str = ""
    serial: str = ""
    name: str = ""
    adapter: str = Adapter.MQTT
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Enrolled:
    """A device that may connect now, and its secret, which is never stored."""

    device: Device
    credential: Credential
    secret: str
    is_claimed: bool


@transaction.atomic
def create_enrolment_key(
    *,
    tenant: Tenant,
    site: Site,
    max_devices: int,
    expires_at: datetime,
    product: Product | None = None,
    batch: Batch | None = None,
    name: str = "",
    actor: User | None = None,
) -> tuple[EnrolmentKey, str]:
    """Make a key for a batch or for all devices of a product.

    Returns the row, and the key, which is shown once. Raises BadInput and Django's
    ValidationError, each naming the fields.
    """
    if product is None:
        if batch is None:
            raise BadInput(product="Name the product or the batch.")
        product = batch.hardware_revision.product
    text = KEY_MARK + secrets.token_urlsafe(KEY_BYTES)
    key = EnrolmentKey(
        tenant=tenant,
        product=product,
        batch=batch,
        site=site,
        name=name.strip() or f"{(batch or product).slug} at {site.slug}",
        digest=digest_of(text),
        prefix=text[:PREFIX_LENGTH],
        max_devices=max_devices,
        expires_at=expires_at,
        created_by=actor,
    )
    _check(key, is_new_end=True)
    key.save()
    return key, text


@transaction.atomic
def update_enrolment_key(
    key: EnrolmentKey, *, changes: Mapping[str, Any]
) -> EnrolmentKey:
    """Change name, site, number or expiry date. Raises BadInput naming the fields."""
    if unknown := changes.keys() - CHANGEABLE:
        rows = [
            {"field": n, "message": "This cannot be changed."} for n in sorted(unknown)
        ]
        raise BadInput(errors=rows)
    row = EnrolmentKey.objects.select_for_update(of=("self",)).get(pk=key.pk)
    for name, value in changes.items():
        setattr(row, name, value)
    _check(row, is_new_end="expires_at" in changes)
    if row.max_devices < row.used_count:
        text = f"It has already enrolled {counted(row.used_count, 'device')}."
        raise BadInput(max_devices=text)
    row.save(update_fields=sorted(changes) or ["name"])
    return row


def revoke_enrolment_key(key: EnrolmentKey) -> None:
    """Revoke a key; devices that it enrolled stay."""
    rows = EnrolmentKey.objects.filter(pk=key.pk, revoked_at__isnull=True)
    rows.update(revoked_at=timezone.now())
    key.refresh_from_db(fields=["revoked_at"])


def enrol_across_tenants(key_text: str, request: EnrolRequest) -> Enrolled:
    """Register a device with a key, or claim an imported one; give it a secret.

    Must not run inside a transaction. Raises Forbidden for a key that is not valid,
    Conflict if the key is used up or may not enrol this device, BadInput naming the
    fields, and BrokerDoesNotAnswer (which does not count as a use of the key).
    """
    secret = new_secret()
    with transaction.atomic():
        key = _locked(key_text)
        device, is_claimed = _find_or_register(key, request)
        credential = create_credential(device, verifier=make_verifier(secret))
        EnrolmentKey.objects.filter(pk=key.pk).update(used_count=F("used_count") + 1)
    try:
        bring_into_force(credential, secret)
    except BrokerDoesNotAnswer:
        _undo_enrolment(key, credential)
        raise
    return Enrolled(device, credential, secret, is_claimed)


def _locked(key_text: str) -> EnrolmentKey:
    """Lock the key, so that concurrent devices see each other's uses of it."""
    rows = EnrolmentKey.objects.select_related(
        "tenant", "product", "batch__hardware_revision", "site__project"
    )
    try:
        key = get_locked(rows, digest=digest_of(key_text))
    except EnrolmentKey.DoesNotExist:
        raise Forbidden("There is no such enrolment key.") from None
    if key.revoked_at is not None:
        raise Forbidden("This enrolment key has been revoked.")
    if key.expires_at <= timezone.now():
        raise Forbidden(f"This enrolment key expired at {key.expires_at:%F %T} UTC.")
    if key.used_count >= key.max_devices:
        text = f"The key is for {counted(key.max_devices, 'device')}: all are enrolled."
        raise Conflict(text)
    return key


def _find_or_register(key: EnrolmentKey, who: EnrolRequest) -> tuple[Device, bool]:
    """Return the matching imported device and True, else a new one and False."""
    device = _find(key, who)
    if device is not None:
        return device, True
    if not who.uid:
        raise BadInput(uid="A device that is not registered yet needs a uid.")
    with tenant_scope.as_role(tenant_scope.BRIDGE):  # uids are unique across tenants
        is_taken = Device.objects.filter(uid=who.uid).exists()
    if is_taken:
        raise Conflict(NOT_CLAIMABLE)
    draft = DeviceDraft(
        uid=who.uid,
        site=key.site,
        product=key.product,
        batch=key.batch,
        name=who.name,
        serial=who.serial,
        adapter=who.adapter,
        attributes=who.attributes,
    )
    try:
        return register_device(tenant=key.tenant, draft=draft), False
    except BadInput as refusal:
        # Another device has it in another case, or has just registered.
        if any(row["message"] in UIDS_TAKEN for row in refusal.errors):
            raise Conflict(NOT_CLAIMABLE) from refusal
        raise


def _find(key: EnrolmentKey, who: EnrolRequest) -> Device | None:
    rows = list_claimable_devices(key).select_for_update(no_key=True, of=("self",))
    rows = rows.select_related("tenant", "product", "site")
    if who.uid:
        device = rows.filter(uid=who.uid).first()
        if device is not None:
            if who.serial and device.serial not in ("", who.serial):
                raise Conflict(f"{who.uid} has another serial.")
            return device
    if not who.serial:
        return None
    device = rows.filter(serial=who.serial).first()
    if device is None:
        taken = Device.objects.filter(tenant=key.tenant_id, serial=who.serial)
        if taken.exists():
            raise Conflict(NOT_CLAIMABLE)
    return device


@transaction.atomic
def _undo_enrolment(key: EnrolmentKey, credential: Credential) -> None:
    """Delete a credential that never reached the broker; the device may try again."""
    EnrolmentKey.objects.select_for_update().get(pk=key.pk)
    Credential.objects.filter(pk=credential.pk).delete()
    EnrolmentKey.objects.filter(pk=key.pk).update(used_count=F("used_count") - 1)


def _check(key: EnrolmentKey, *, is_new_end: bool) -> None:
    errors = {
        name: f"There is no such {name}."
        for name in ("product", "site")
        if getattr(key, name).tenant_id != key.tenant_id
    }
    if (batch := key.batch) is not None:
        if batch.tenant_id != key.tenant_id:
            errors["batch"] = "There is no such batch."
        elif batch.hardware_revision.product_id != key.product_id:
            errors["batch"] = f"It does not belong to the product {key.product}."
    if key.product.kind == DeviceKind.CHILD:
        errors["product"] = (
            "Child devices connect through their gateway and cannot enrol."
        )
    if is_new_end and key.expires_at <= timezone.now():
        errors["expires_at"] = "This date is in the past."
    if errors:
        rows = [{"field": name, "message": text} for name, text in errors.items()]
        raise BadInput(errors=rows)
    key.clean_fields(exclude=("tenant", "product", "batch", "site", "created_by"))
