"""Resolves a query, cohort, snapshot or list of devices to device ids."""

from __future__ import annotations

import hashlib
import logging
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

from fleet.exceptions import QueryError, TargetMoved
from fleet.selectors.cohorts import (
    get_cohort,
    get_snapshot,
    list_snapshot_members,
)
from fleet.selectors.search import (
    Member,
    check_members,
    find_members,
    list_members,
)
from iotplatform.common.counts import counted
from iotplatform.common.ids import hash_of
from iotplatform.common.problems import BadInput
from registry.models import Tenant

logger = logging.getLogger(__name__)

SOURCES = ("query", "cohort", "snapshot", "devices")
MOST_DEVICES = 100_000  # in the list of a request; for more, use a query
# How long the devices of a preview are kept, to show what has changed since.
PREVIEW_SECONDS = 3_600
SHOWN = 20  # uids that an error lists


@dataclass(frozen=True)
class Targets:
    """The exact devices, with query, time, hash, and how far the index was behind."""

    members: list[Member]
    query: str
    taken_at: datetime
    index_lag_seconds: float | None  # None: no index was used
    target_hash: str

    @property
    def device_ids(self) -> list[int]:
        return [member.device_id for member in self.members]


def resolve_targets(*, tenant: Tenant, source: dict[str, Any]) -> Targets:
    """Resolve the only given source of SOURCES to devices that the tenant owns.

    Raises BadInput (none or several given, unknown devices), QueryError, NoSuchCohort,
    NoSuchSnapshot, IndexUnavailable.
    """
    given = [name for name in SOURCES if source.get(name) is not None]
    if len(given) != 1:
        names = ", ".join(SOURCES)
        raise BadInput(query=f"Give exactly one of {names}.")
    name = given[0]
    value = source[name]
    if name == "devices":
        return _listed(tenant, value)
    if name == "snapshot":
        return _frozen(tenant, value)
    if name == "cohort":
        value = get_cohort(tenants=[tenant], public_id=value).query
    return _matching(tenant, value, name)


def check_expected_hash(
    targets: Targets, *, tenant: Tenant, expected_hash: str | None
) -> None:
    """Raise TargetMoved if these are not the devices of the preview."""
    if expected_hash is None or expected_hash == targets.target_hash:
        return
    extra: dict[str, Any] = {
        "expected_hash": expected_hash,
        "target_hash": targets.target_hash,
        "target_count": len(targets.members),
    }
    detail = "The devices are not those of the preview."
    before = load_preview(tenant, expected_hash)
    if before is not None:
        now = {member.uid for member in targets.members}
        gone, added = sorted(before - now), sorted(now - before)
        left = counted(len(gone), "device")
        detail = f"Since the preview, {left} left and {len(added)} joined."
        extra |= {"gone_count": len(gone), "added_count": len(added)}
        extra |= {"gone": gone[:SHOWN], "added": added[:SHOWN]}
    else:
        extra |= dict.fromkeys(("gone_count", "added_count", "gone", "added"))
    raise TargetMoved(detail, **extra)


def store_preview(tenant: Tenant, targets: Targets) -> None:
    """Keep the devices of a preview; without them TargetMoved names no devices."""
    text = "\n".join(member.uid for member in targets.members)
    try:
        cache.set(
            _preview_key(tenant, targets.target_hash),
            zlib.compress(text.encode()),
            PREVIEW_SECONDS,
        )
    except RedisError as error:
        logger.warning("a preview was not stored: %s", error)


def load_preview(tenant: Tenant, target_hash: str) -> set[str] | None:
    """Return the uids of the preview with this hash, if they are still stored."""
    try:
        kept = cache.get(_preview_key(tenant, target_hash))
    except RedisError:
        return None
    return None if kept is None else set(zlib.decompress(kept).decode().splitlines())


def _preview_key(tenant: Tenant, target_hash: str) -> str:
    # Hashed again, because the caller may send any text.
    digest = hashlib.sha256(target_hash.encode()).hexdigest()
    return f"fleet:preview:{tenant.pk}:{digest}"


def _matching(tenant: Tenant, query: str, name: str) -> Targets:
    taken_at = timezone.now()
    try:
        found = list_members(tenants=[tenant], q=query)
    except QueryError as error:
        raise error.about(name) from error
    return _targets(found.members, query, taken_at, found.index_lag_seconds)


def _frozen(tenant: Tenant, public_id: str) -> Targets:
    snapshot = get_snapshot(tenants=[tenant], public_id=public_id)
    ids = list(list_snapshot_members(snapshot).values_list("device_id", flat=True))
    members = check_members(tenants=[tenant], device_ids=ids)
    return _targets(
        members, snapshot.query, snapshot.taken_at, snapshot.index_lag_seconds
    )


def _listed(tenant: Tenant, uids: list[str]) -> Targets:
    wanted = sorted(set(uids))
    if not wanted or len(wanted) > MOST_DEVICES:
        raise BadInput(devices=f"1 to {MOST_DEVICES} devices.")
    members = find_members(tenants=[tenant], uids=wanted)
    if len(members) != len(wanted):
        unknown = sorted(set(wanted) - {member.uid for member in members})
        shown = ", ".join(unknown[:SHOWN])
        raise BadInput(devices=f"Unknown devices: {shown}.")
    return _targets(members, "", timezone.now(), None)


def _targets(
    members: list[Member], query: str, taken_at: datetime, lag: float | None
) -> Targets:
    found_hash = hash_of(member.uid for member in members)
    return Targets(members, query, taken_at, lag, found_hash)
