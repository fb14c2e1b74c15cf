"""Writes of API tokens; a key is shown once and stored as a digest."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from iotplatform.common.problems import BadInput
from registry.choices import TokenScope
from registry.models import ApiToken, User
from registry.selectors.tokens import digest_of

KEY_MARK = "iot_"  # so that a scanner of leaked secrets recognises one
KEY_BYTES = 32
PREFIX_LENGTH = 12
USE_IS_NOTED_EVERY = timedelta(minutes=1)  # a request must not cost a write


@transaction.atomic
def create_token(
    *,
    user: User,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None = None,
    made_with: ApiToken | None = None,
) -> tuple[ApiToken, str]:
    """Make a key for a person's scripts; return the row and the key.

    Raises BadInput for unknown or no scopes, for an expiry in the past, and for a key
    with more rights or a later expiry than the key ``made_with`` which it is made.
    """
    wanted = list(dict.fromkeys(scopes))
    if not wanted or not set(wanted) <= set(TokenScope.values):
        raise BadInput(scopes=f"One or more of: {', '.join(TokenScope.values)}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise BadInput(expires_at="This date is in the past.")
    if made_with is not None:
        _check_no_more(made_with, wanted, expires_at)
    key = KEY_MARK + secrets.token_urlsafe(KEY_BYTES)
    token = ApiToken(
        user=user,
        name=name.strip(),
        digest=digest_of(key),
        prefix=key[:PREFIX_LENGTH],
        scopes=wanted,
        expires_at=expires_at,
    )
    token.full_clean(validate_unique=False)
    token.save()
    return token, key


def revoke_token(token: ApiToken) -> None:
    """Revoke a key; a second call keeps the time of the first."""
    rows = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True)
    rows.update(revoked_at=timezone.now())
    token.refresh_from_db(fields=["revoked_at"])


def record_use(token: ApiToken, *, now: datetime) -> None:
    """Record that the key was used, at most once a minute."""
    last = token.last_used_at
    if last is None or now - last >= USE_IS_NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _check_no_more(
    made_with: ApiToken, scopes: list[str], expires_at: datetime | None
) -> None:
    """Refuse a key with more rights than the one in use, which may be stolen."""
    if not set(scopes) <= set(made_with.scopes):
        allowed = ", ".join(made_with.scopes)
        raise BadInput(scopes=f"The key in use allows only: {allowed}.")
    end = made_with.expires_at
    if end is not None and (expires_at is None or expires_at > end):
        raise BadInput(
            expires_at=f"The key in use expires at {end:%Y-%m-%dT%H:%M:%SZ}."
        )
