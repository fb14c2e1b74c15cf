"""Cohorts (saved queries), and snapshots of the devices that they find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.utils import timezone

from fleet.exceptions import QueryError
from fleet.models import Cohort, Snapshot, SnapshotMember
from fleet.selectors.search import list_members, validate_query
from fleet.services.targets import hash_of
from iotplatform.common import bulk_sql
from iotplatform.common.problems import BadInput, NotFound
from registry.models import Tenant, User
from registry.selectors.people import find_person

LONGEST_NAME, LONGEST_DESCRIPTION = 200, 2_000


def save_cohort(
    *,
    tenant: Tenant,
    name: str,
    query: str,
    actor: User | None,
    owner: str | None = None,
    description: str = "",
) -> Cohort:
    """Save a query under a name; it is the actor's unless ``owner`` names another.

    Raises QueryError (the query is not valid) and BadInput (the name is empty, too long
    or in use, the description is too long, nobody of the tenant is called ``owner``).
    """
    name = _checked_name(name)
    _check_query(query, tenant)
    row = Cohort(
        tenant=tenant,
        name=name,
        query=query,
        created_by=actor,
        owner=actor if owner is None else _owner(tenant, owner),
        description=_checked_description(description),
    )
    with _name_free():
        row.save(force_insert=True)
    return row


@transaction.atomic
def edit_cohort(
    *,
    cohort: Cohort,
    name: str | None = None,
    query: str | None = None,
    owner: str | None = None,
    description: str | None = None,
) -> Cohort:
    """Change what is given; raises what ``save_cohort`` raises."""
    rows = Cohort.objects.select_related("tenant", "owner", "created_by")
    row = rows.select_for_update(no_key=True, of=("self",)).get(pk=cohort.pk)
    if name is not None:
        row.name = _checked_name(name)
    if query is not None:
        _check_query(query, row.tenant)
        row.query = query
    # The owner may have left since; only another one is looked up.
    if owner is not None and owner != (row.owner and row.owner.get_username()):
        row.owner = _owner(row.tenant, owner)
    if description is not None:
        row.description = _checked_description(description)
    with _name_free():
        row.save()
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


def _checked_description(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_DESCRIPTION or "\0" in text:
        raise BadInput(description=f"At most {LONGEST_DESCRIPTION} characters.")
    return text


def _owner(tenant: Tenant, username: str) -> User:
    try:
        return find_person(tenant=tenant, username=username)
    except NotFound as error:
        raise BadInput(owner=f"{tenant.slug} has no member '{username}'.") from error


@contextmanager
def _name_free() -> Iterator[None]:
    """Say which field is wrong when another cohort of the tenant has the name."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise BadInput(name="A cohort with this name already exists.") from error
