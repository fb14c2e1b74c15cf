"""Reads of API tokens."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from registry.exceptions import NoSuchObject
from registry.models import ApiToken, User


def digest_of(key: str) -> str:
    """Return the stored digest of a key: plain SHA-256, as keys are random."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_token_across_tenants(key: str, *, now: datetime) -> ApiToken | None:
    """Return the valid token of a key, with its active user, or None."""
    valid = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    rows = ApiToken.objects.filter(
        valid,
        digest=digest_of(key),
        revoked_at__isnull=True,
        user__is_active=True,
    )
    return rows.select_related("user").first()


def list_tokens(user: User) -> QuerySet[ApiToken]:
    """Return a person's keys, newest first, including revoked ones."""
    return ApiToken.objects.filter(user=user).order_by("-pk")


def get_token(user: User, public_id: UUID) -> ApiToken:
    """Return one of a person's keys; raises NoSuchObject."""
    found = list_tokens(user).filter(public_id=public_id).first()
    if found is None:
        raise NoSuchObject("key")
    return found
