"""REST API: snapshots, the exact devices of a cohort at one time."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.api.serializers import (
    DifferenceSerializer,
    MemberSerializer,
    SnapshotSerializer,
)
from fleet.models import Snapshot, SnapshotMember
from fleet.selectors.cohorts import (
    difference_of,
    get_cohort,
    get_snapshot,
    list_snapshot_members,
    list_snapshots,
)
from fleet.services.cohorts import take_snapshot
from iotplatform.common.instants import FromToFilterSet, InstantFilter
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.permissions import Right

TO = OpenApiParameter("to", str, required=True, description="The later snapshot's id.")


class SnapshotFilter(FromToFilterSet):
    """The filters of the list of snapshots."""

    cohort = django_filters.UUIDFilter("cohort__public_id", help_text="A cohort's id.")
    from_ = InstantFilter(
        field_name="taken_at", lookup_expr="gte", help_text="Taken at or after."
    )
    to = InstantFilter(
        field_name="taken_at", lookup_expr="lt", help_text="Taken before."
    )


class SnapshotListView(TenantScopedMixin, ListAPIView[Snapshot]):
    """Snapshots, in the order in which they were taken."""

    serializer_class = SnapshotSerializer
    filterset_class = SnapshotFilter
    pagination_class = OpaqueCursorPagination

    def get_queryset(self) -> QuerySet[Snapshot]:
        return list_snapshots(tenants=self.tenants)


class SnapshotDifferenceView(TenantScopedMixin, APIView):
    """What changed from one snapshot to another."""

    @extend_schema(parameters=[TO], responses=DifferenceSerializer)
    def get(self, request: Request, snapshot_id: str) -> Response:
        """Return the uids that are gone and that were added, and how many stayed."""
        before = get_snapshot(tenants=self.tenants, public_id=snapshot_id)
        wanted = request.query_params.get("to")
        if not wanted:
            raise BadInput(to="Name the other snapshot.")
        after = get_snapshot(tenants=self.tenants, public_id=wanted)
        return Response(DifferenceSerializer(difference_of(before, after)).data)


class CohortSnapshotView(TenantScopedMixin, APIView):
    """New snapshots of a cohort."""

    @extend_schema(request=None, responses={201: SnapshotSerializer})
    def post(self, request: Request, cohort_id: str) -> Response:
        """Freeze the devices that the query finds now."""
        cohort = get_cohort(tenants=self.tenants, public_id=cohort_id)
        self.require(Right.OPERATE, cohort.tenant_id)
        snapshot = take_snapshot(cohort=cohort, actor=self.caller)
        return Response(SnapshotSerializer(snapshot).data, status=201)


class SnapshotDetailView(TenantScopedMixin, APIView):
    """One snapshot."""

    @extend_schema(responses=SnapshotSerializer)
    def get(self, request: Request, snapshot_id: str) -> Response:
        """Return query, time, size and hash, and how far the index was behind."""
        snapshot = get_snapshot(tenants=self.tenants, public_id=snapshot_id)
        return Response(SnapshotSerializer(snapshot).data)


class SnapshotMemberListView(TenantScopedMixin, ListAPIView[SnapshotMember]):
    """The devices of a snapshot."""

    serializer_class = MemberSerializer
    pagination_class = OpaqueCursorPagination
    queryset = SnapshotMember.objects.none()  # names the model to the schema

    def get_queryset(self) -> Any:
        snapshot = get_snapshot(
            tenants=self.tenants, public_id=self.kwargs["snapshot_id"]
        )
        return list_snapshot_members(snapshot)
