"""Cohorts (saved queries), and snapshots of the devices that they find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from fleet.exceptions import QueryError
from fleet.models import Cohort, Snapshot, SnapshotMember, StandingPolicy
from fleet.selectors.search import list_members, validate_query
from fleet.services.cohort_watch import restart_watch
from iotplatform.common import bulk_sql
from iotplatform.common.ids import hash_of
from iotplatform.common.problems import BadInput, Conflict, NotFound
from iotplatform.common.row_lock import get_locked
from registry.models import Tenant, User
from registry.selectors.people import find_person

LONGEST_NAME, LONGEST_DESCRIPTION = 200, 2_000
LARGEST_NUMBER = 10_000_000  # devices; no tenant has as many


class CohortDetails(TypedDict, total=False):
    """What a cohort may have besides name and query."""

    owner: str | None  # a user name; None: as it is
    description: str
    calls_at: int | None  # None: no number calls
    calls_each: bool


class CohortChanges(CohortDetails, total=False):
    """What may change of a cohort; what is left out stays."""

    name: str
    query: str


def save_cohort(
    *,
    tenant: Tenant,
    name: str,
    query: str,
    actor: User | None,
    **details: Unpack[CohortDetails],
) -> Cohort:
    """Save a query under a name; it is the actor's unless ``owner`` names another.

    Raises QueryError (the query is not valid) and BadInput (the name is empty, too long
    or in use, the description is too long, the number is none, nobody of the tenant is
    called ``owner``).
    """
    row = Cohort(tenant=tenant, created_by=actor, owner=actor)
    with transaction.atomic():
        _apply(row, {"name": name, "query": query, **details})
    return row


@transaction.atomic
def edit_cohort(*, cohort: Cohort, **changes: Unpack[CohortChanges]) -> Cohort:
    """Change what is given; raises what ``save_cohort`` raises.

    A changed query, and a call that is switched on, begin with what is so now: only
    what happens afterwards calls.
    """
    rows = Cohort.objects.select_related("tenant", "owner", "created_by")
    row = get_locked(rows, pk=cohort.pk)
    _apply(row, changes)
    return row


@transaction.atomic
def delete_cohort(*, cohort: Cohort) -> None:
    """Delete the saved query with its calls; its snapshots stay.

    Raises Conflict while a standing policy is for it.
    """
    uses = StandingPolicy.objects.filter(cohort=cohort).order_by("pk")
    if policy := uses.first():
        raise Conflict(f"The standing policy '{policy}' is for it. Delete that first.")
    # First the row that a look at the cohort locks first, too.
    list(Cohort.objects.filter(pk=cohort.pk).select_for_update().values_list("pk"))
    cohort.delete()


def _apply(row: Cohort, changes: CohortChanges) -> None:
    before = (row.query, row.calls_each, row.calls_at)
    if "name" in changes:
        row.name = _checked_name(changes["name"])
    if "query" in changes:
        _check_query(changes["query"], row.tenant)
        row.query = changes["query"]
    owner = changes.get("owner")
    # The owner may have left since; only another one is looked up.
    if owner is not None and owner != (row.owner and row.owner.get_username()):
        row.owner = _owner(row.tenant, owner)
    if "description" in changes:
        row.description = _checked_description(changes["description"])
    if "calls_at" in changes:
        row.calls_at = _checked_number(changes["calls_at"])
    row.calls_each = changes.get("calls_each", row.calls_each)
    with _name_free():
        row.save()
    query, each, number = before
    is_another = query != row.query
    members, size = (
        is_another or each != row.calls_each,
        is_another or number != row.calls_at,
    )
    if (members or size) and (each or row.calls_each or number or row.calls_at):
        restart_watch(row, members=members, number=size)


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


def _checked_number(number: int | None) -> int | None:
    if number is not None and not 1 <= number <= LARGEST_NUMBER:
        raise BadInput(calls_at=f"1 to {LARGEST_NUMBER:,}, or null.")
    return number


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
