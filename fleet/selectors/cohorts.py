"""Reads of cohorts and their snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from fleet.exceptions import NoSuchCohort, NoSuchSnapshot
from fleet.models import Cohort, Snapshot, SnapshotMember
from iotplatform.common.ids import parse_uuid
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


def get_snapshot(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Snapshot:
    """Return one snapshot; raises NoSuchSnapshot."""
    wanted = parse_uuid(public_id)
    members = SnapshotMember.objects.all()
    access = sets_within(tenants, members, owner="snapshot_id")
    snapshots = Snapshot.objects.filter(access)
    snapshots = snapshots.select_related("tenant", "cohort", "taken_by")
    found = wanted and snapshots.filter(public_id=wanted).first()
    if not found:
        raise NoSuchSnapshot("There is no such snapshot.")
    attach_caller_tenant(found, tenants)
    return found


def list_snapshot_members(snapshot: Snapshot) -> QuerySet[SnapshotMember]:
    """Return the frozen members, in key order."""
    return SnapshotMember.objects.filter(snapshot=snapshot).order_by("pk")
