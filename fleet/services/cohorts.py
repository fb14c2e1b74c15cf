"""Cohorts (saved queries), and snapshots of the devices that they find."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from fleet.exceptions import QueryError
from fleet.models import Cohort, Snapshot, SnapshotMember
from fleet.selectors.search import list_members, validate_query
from fleet.services.targets import hash_of
from iotplatform.common import bulk_sql
from iotplatform.common.problems import BadInput
from registry.models import Tenant, User

LONGEST_NAME = 200


def save_cohort(*, tenant: Tenant, name: str, query: str, actor: User | None) -> Cohort:
    """Save a query under a name.

    Raises QueryError (the query is not valid) and BadInput (the name is empty, too long
    or in use).
    """
    name = _checked_name(name)
    _check_query(query, tenant)
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
    """Change name, query or both; raises what ``save_cohort`` raises."""
    rows = Cohort.objects.select_related("tenant", "created_by")
    row = rows.select_for_update(no_key=True, of=("self",)).get(pk=cohort.pk)
    if name is not None:
        row.name = _checked_name(name)
    if query is not None:
        _check_query(query, row.tenant)
        row.query = query
    try:
        with transaction.atomic():
            row.save(update_fields=["name", "query", "updated_at"])
    except IntegrityError as error:
        raise _name_taken() from error
    return row


def delete_cohort(*, cohort: Cohort) -> None:
    """Delete the saved query; its snapshots stay."""
    cohort.delete()


INSERT_MEMBERS = f"""
    INSERT INTO fleet_snapshotmember (tenant_id, snapshot_id, device_id, uid)
    SELECT %s, %s, v.device_id, v.uid
    FROM {bulk_sql.unnest(SnapshotMember, "device_id", "uid")}
"""


@transaction.atomic
def take_snapshot(*, cohort: Cohort, actor: User | None) -> Snapshot:
    """Freeze the devices that match now; raises QueryError, IndexUnavailable."""
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
    rows = [(member.device_id, member.uid) for member in found.members]
    columns = bulk_sql.columns_of(rows, 2)
    bulk_sql.run(INSERT_MEMBERS, [cohort.tenant_id, snapshot.pk, *columns])
    return snapshot


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        raise BadInput(name=f"1 to {LONGEST_NAME} characters.")
    return name


def _check_query(query: str, tenant: Tenant) -> None:
    try:
        validate_query(query, tenants=[tenant])
    except QueryError as error:
        raise error.about("query") from error


def _name_taken() -> BadInput:
    return BadInput(name="A cohort with this name already exists.")
