"""Saving queries, and freezing who they find."""

from __future__ import annotations

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from fleet.exceptions import QueryError
from fleet.models import Cohort, Snapshot
from fleet.selectors.search import list_members, validate_query
from fleet.services.targets import hash_of
from iotplatform.common.problems import BadInput
from registry.models import Tenant, User

LONGEST_NAME = 200


def save_cohort(*, tenant: Tenant, name: str, query: str, actor: User | None) -> Cohort:
    """Save a query under a name.

    Refuses a query that cannot be understood (QueryError) and a name that is empty, too
    long or taken (BadInput).
    """
    name = _checked_name(name)
    _check_query(query)
    try:
        with transaction.atomic():
            return Cohort.objects.create(
                tenant=tenant, name=name, query=query, created_by=actor
            )
    except IntegrityError as error:
        raise _name_taken() from error


@transaction.atomic
def edit_cohort(
    *, cohort: Cohort, name: str | None = None, query: str | None = None
) -> Cohort:
    """Change its name, its query or both; refuses what ``save_cohort`` refuses."""
    rows = Cohort.objects.select_related("tenant", "created_by")
    row = rows.select_for_update(no_key=True, of=("self",)).get(pk=cohort.pk)
    if name is not None:
        row.name = _checked_name(name)
    if query is not None:
        _check_query(query)
        row.query = query
    try:
        with transaction.atomic():
            row.save(update_fields=["name", "query", "updated_at"])
    except IntegrityError as error:
        raise _name_taken() from error
    return row


def delete_cohort(*, cohort: Cohort) -> None:
    """Delete the saved query; what was frozen from it stays."""
    cohort.delete()


INSERT_MEMBERS = """
    INSERT INTO fleet_snapshotmember (tenant_id, snapshot_id, device_id, uid)
    SELECT %s, %s, new.device_id, new.uid
    FROM unnest(%s::bigint[], %s::varchar[]) AS new(device_id, uid)
"""


@transaction.atomic
def take_snapshot(*, cohort: Cohort, actor: User | None) -> Snapshot:
    """Freeze the devices that match now; raises IndexUnavailable."""
    taken_at = timezone.now()
    found = list_members(tenants=[cohort.tenant], q=cohort.query)
    snapshot = Snapshot.objects.create(
        tenant=cohort.tenant,
        cohort=cohort,
        query=cohort.query,
        taken_at=taken_at,
        taken_by=actor,
        index_lag_seconds=found.index_lag_seconds,
        size=len(found.members),
        target_hash=hash_of(member.uid for member in found.members),
    )
    with connection.cursor() as cursor:
        ids = [member.device_id for member in found.members]
        uids = [member.uid for member in found.members]
        cursor.execute(INSERT_MEMBERS, [cohort.tenant_id, snapshot.pk, ids, uids])
    return snapshot


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        raise BadInput(name=f"1 to {LONGEST_NAME} characters.")
    return name


def _check_query(query: str) -> None:
    try:
        validate_query(query)
    except QueryError as error:
        raise error.about("query") from error


def _name_taken() -> BadInput:
    return BadInput(name="There is a cohort of this name.")
