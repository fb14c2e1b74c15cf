"""Which of some devices match a query, in one search for all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fleet.selectors.search import answering, open_search
from registry.models import Tenant


def find_matching(
    *, tenants: Iterable[Tenant], q: str, device_ids: Collection[int]
) -> set[int]:
    """Return which of these devices match; raises QueryError, IndexUnavailable."""
    with answering():
        found = open_search(list(tenants), q).device_ids()
    return set(device_ids).intersection(found)
