"""Keeps the open counts of a person for some seconds: every page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.cache import cache
from redis.exceptions import RedisError

from console.selectors.open_counts import OpenCounts, count_open

if TYPE_CHECKING:
    from console.scope import ConsoleScope

KEPT_SECONDS = 5


def open_counts(scope: ConsoleScope) -> OpenCounts:
    """Return what is open in the tenants in view, as of a few seconds ago at most."""
    key = _key(scope)
    try:
        kept = cache.get(key)
    except RedisError:
        return count_open(tenants=scope.tenants)
    if isinstance(kept, tuple):
        return OpenCounts(*kept)
    found = count_open(tenants=scope.tenants)
    try:
        cache.set(key, (found.queue, found.incidents), KEPT_SECONDS)
    except RedisError:
        pass
    return found


def forget_open_counts(scope: ConsoleScope) -> None:
    """Count again on the next page: the person has just changed something."""
    try:
        cache.delete(_key(scope))
    except RedisError:
        return


def _key(scope: ConsoleScope) -> str:
    tenants = ",".join(str(tenant.pk) for tenant in scope.tenants)
    return f"open_counts:{scope.user.pk}:{tenants}"
