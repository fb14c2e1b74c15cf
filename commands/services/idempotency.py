"""Idempotency keys: a repeated request is done once; per tenant, kept for 7 days."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from commands.choices import KeyKind
from commands.exceptions import IdempotencyKeyReused, InvalidCommand
from commands.models import IdempotencyKey
from registry.models import Tenant

KEPT_FOR = timedelta(days=7)
MAX_LENGTH = 255
SWEEP_BATCH = 10_000  # one DELETE of this size takes well under a second

# A second request with the same key waits here until the first one has ended.
CLAIM = """
    INSERT INTO commands_idempotencykey
        (tenant_id, key, fingerprint, kind, object_public_id, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant_id, key) DO NOTHING
"""


def fingerprint(*parts: Any) -> str:
    """Return the digest of a request; the order of keys in objects does not matter."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def claim_key(
    tenant: Tenant,
    key: str | None,
    request: str,
    *,
    kind: KeyKind,
    public_id: UUID,
    now: datetime,
) -> UUID | None:
    """Claim the key for the object ``public_id``, in the caller's transaction.

    Return None if the claim succeeded or there is no key, else the id of the object
    that the same request made first. Raises IdempotencyKeyReused if the first request
    was another one.
    """
    if not key:
        return None
    if len(key) > MAX_LENGTH or not key.isprintable():
        raise InvalidCommand(
            errors=[
                {
                    "field": "Idempotency-Key",
                    "message": f"1 to {MAX_LENGTH} printable characters.",
                }
            ]
        )
    with connection.cursor() as cursor:
        values: list[Any] = [tenant.pk, key, request, kind.value, public_id, now]
        cursor.execute(CLAIM, values)
        if cursor.rowcount:
            return None
    return earlier_object(tenant, key, request, kind=kind)


def earlier_object(
    tenant: Tenant, key: str | None, request: str, *, kind: KeyKind
) -> UUID | None:
    """Return what the same request made with this key, or None.

    Raises IdempotencyKeyReused if the key was used with another request.
    """
    if not key:
        return None
    earlier = IdempotencyKey.objects.filter(tenant=tenant, key=key).first()
    if earlier is None:
        return None
    if earlier.kind != kind or earlier.fingerprint != request:
        raise IdempotencyKeyReused(
            f"The Idempotency-Key '{key}' was used before with another request."
        )
    return earlier.object_public_id


def delete_old_keys_across_tenants(*, now: datetime) -> int:
    """Delete a batch of keys that are older than 7 days; return how many."""
    old = IdempotencyKey.objects.filter(created_at__lt=now - KEPT_FOR)
    batch = old.order_by("created_at").values_list("pk", flat=True)[:SWEEP_BATCH]
    return IdempotencyKey.objects.filter(pk__in=list(batch)).delete()[0]
