"""Reads of cohorts and their snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from fleet.exceptions import NoSuchCohort, NoSuchSnapshot
from fleet.models import Cohort, Snapshot, SnapshotMember
from iotplatform.common import bulk_sql
from iotplatform.common.ids import parse_uuid
from iotplatform.common.problems import BadInput
from registry.models import Tenant
from registry.selectors.access import attach_caller_tenant, sets_within


def list_cohorts(*, tenants: Sequence[Tenant]) -> QuerySet[Cohort]:
    cohorts = Cohort.objects.filter(tenant__in=tenants)
    return cohorts.select_related("tenant", "owner", "created_by").order_by("pk")


def get_cohort(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Cohort:
    """Return one cohort; raises NoSuchCohort."""
    wanted = parse_uuid(public_id)
    found = wanted and list_cohorts(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchCohort("There is no such cohort.")
    attach_caller_tenant(found, tenants)
    return found


def list_snapshots(*, tenants: Sequence[Tenant]) -> QuerySet[Snapshot]:
    """Return the snapshots in which the caller may see every device."""
    members = SnapshotMember.objects.all()
    access = sets_within(tenants, members, owner="snapshot_id")
    snapshots = Snapshot.objects.filter(access).order_by("pk")
    return snapshots.select_related("tenant", "cohort", "taken_by")


def get_snapshot(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Snapshot:
    """Return one snapshot; raises NoSuchSnapshot."""
    wanted = parse_uuid(public_id)
    found = wanted and list_snapshots(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchSnapshot("There is no such snapshot.")
    attach_caller_tenant(found, tenants)
    return found


def list_snapshot_members(snapshot: Snapshot) -> QuerySet[SnapshotMember]:
    """Return the frozen members, in key order."""
    return SnapshotMember.objects.filter(snapshot=snapshot).order_by("pk")


@dataclass(frozen=True)
class Difference:
    """How the devices of one snapshot differ from those of another."""

    gone: list[str]  # uids, sorted
    added: list[str]
    kept: int


# Members of the first snapshot that the second does not have.
ONLY_IN_FIRST = """
    SELECT a.uid FROM fleet_snapshotmember a
    WHERE a.snapshot_id = %s AND NOT EXISTS (
        SELECT FROM fleet_snapshotmember b
        WHERE b.snapshot_id = %s AND b.device_id = a.device_id
    )
    ORDER BY a.uid COLLATE "C"
"""


def difference_of(before: Snapshot, after: Snapshot) -> Difference:
    """Compare the devices of two snapshots of a tenant; raises BadInput."""
    if before.tenant_id != after.tenant_id:
        raise BadInput(to="It is a snapshot of another tenant.")
    gone, added = (
        [uid for (uid,) in bulk_sql.fetch(ONLY_IN_FIRST, [first.pk, second.pk])]
        for first, second in ((before, after), (after, before))
    )
    return Difference(gone, added, kept=before.size - len(gone))
