"""REST API: cohorts (saved queries)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api.serializers import (
    CohortChangeSerializer,
    CohortRequestSerializer,
    CohortSerializer,
)
from fleet.models import Cohort
from fleet.selectors.cohort_sizes import attach_sizes
from fleet.selectors.cohorts import get_cohort, list_cohorts
from fleet.services.cohorts import delete_cohort, edit_cohort, save_cohort
from iotplatform.common.etags import VersionedView
from iotplatform.common.pagination import OpaqueCursorPagination
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class CohortBase(TenantScopedMixin, VersionedView):
    """Show cohorts with their sizes, which change by themselves."""

    moving_fields = frozenset({"sizes"})

    def shown(self, cohort: Cohort) -> Mapping[str, Any]:
        attach_sizes([cohort], tenants=self.tenants)
        return CohortSerializer(cohort).data


class CohortListView(CohortBase, ListAPIView[Cohort]):
    """The cohorts of the caller's tenants."""

    serializer_class = CohortSerializer
    pagination_class = OpaqueCursorPagination
    queryset = Cohort.objects.none()  # names the model to the schema

    def get_queryset(self) -> Any:
        return list_cohorts(tenants=self.tenants)

    def paginate_queryset(self, queryset: Any) -> Any:
        """Add the sizes of one page."""
        page = super().paginate_queryset(queryset)
        attach_sizes(page or [], tenants=self.tenants)
        return page

    @extend_schema(request=CohortRequestSerializer, responses={201: CohortSerializer})
    def post(self, request: Request) -> Response:
        """Save a query under a name."""
        body = CohortRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.resolve_tenant()
        self.require(Right.OPERATE, tenant.pk)
        given = {k: v for k, v in body.validated_data.items() if k != "tenant"}
        cohort = save_cohort(tenant=tenant, actor=self.caller, **given)
        return self.versioned(self.shown(cohort), status=201)


class CohortDetailView(CohortBase):
    """One cohort."""

    @extend_schema(responses=CohortSerializer)
    def get(self, request: Request, cohort_id: str) -> Response:
        """Return the cohort."""
        return self.versioned(self.shown(self._cohort(cohort_id)))

    @extend_schema(request=CohortChangeSerializer, responses=CohortSerializer)
    def patch(self, request: Request, cohort_id: str) -> Response:
        """Change what is given: name, query, owner or description."""
        cohort = self._cohort(cohort_id, Right.OPERATE)
        body = CohortChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with self._as_seen(cohort):
            edited = edit_cohort(cohort=cohort, **body.validated_data)
        return self.versioned(self.shown(edited))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, cohort_id: str) -> Response:
        """Delete the saved query; its snapshots stay."""
        cohort = self._cohort(cohort_id, Right.OPERATE)
        with self._as_seen(cohort):
            delete_cohort(cohort=cohort)
        return Response(status=204)

    def _as_seen(self, cohort: Cohort) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            return self.shown(self._cohort(str(cohort.public_id)))

        return self.as_seen(cohort, shown)

    def _cohort(self, cohort_id: str, right: Right = Right.VIEW) -> Cohort:
        cohort = get_cohort(tenants=self.tenants, public_id=cohort_id)
        self.require(right, cohort.tenant_id)
        return cohort
