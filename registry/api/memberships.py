"""REST: the members of tenants, their roles and their limits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.etags import VersionedView
from iotplatform.common.problems import BadInput, Forbidden, NotFound
from registry.api.base import TenantScopedMixin
from registry.api.serializers.people import MembershipSerializer
from registry.choices import Role
from registry.models import Membership, Project, Site, Tenant
from registry.permissions import Right, may
from registry.selectors.people import (
    find_places,
    find_user_across_tenants,
    get_membership,
    list_memberships,
)
from registry.services.people import (
    add_member,
    change_member,
    lock_member,
    remove_member,
)


class MembershipFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of memberships."""

    user = django_filters.CharFilter(field_name="user__username")
    role = django_filters.MultipleChoiceFilter(choices=Role.choices)

    class Meta:
        model = Membership
        fields: list[str] = []


class MembershipsView(TenantScopedMixin, VersionedView, GenericAPIView[Membership]):
    serializer_class = MembershipSerializer
    filterset_class = MembershipFilter
    queryset = Membership.objects.none()  # names the model to the schema

    def administered(self) -> list[Tenant]:
        """Return the tenants whose people the caller manages; 403 if there is none."""
        found = [t for t in self.tenants if may(self.caller, t.pk, Right.ADMINISTER)]
        if not found:
            raise Forbidden(f"This needs the right to {Right.ADMINISTER} in a tenant.")
        return found

    def get_queryset(self) -> QuerySet[Membership]:
        return list_memberships(tenants=self.administered())

    def given(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        serializer = MembershipSerializer(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def shown(self, row: Membership, status: int = 200) -> Response:
        fresh = get_membership(tenants=[row.tenant], public_id=row.public_id)
        return self.versioned(MembershipSerializer(fresh).data, status=status)


class MembershipListView(MembershipsView):
    """The members of the tenants whose people the caller manages."""

    @extend_schema(
        operation_id="memberships_list", responses=MembershipSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """List members; needs the right to administer."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: MembershipSerializer})
    def post(self, request: Request) -> Response:
        """Make an account a member; needs the right to administer."""
        given = self.given(request)
        tenant = self.resolve_tenant()
        self.require(Right.ADMINISTER, tenant.pk)
        places = places_of(given, tenant=tenant) or []
        try:
            user = find_user_across_tenants(given["user"]["username"])
        except NotFound as error:
            raise BadInput(user=error.detail) from error
        role = given.get("role", Role.VIEWER)
        row = add_member(tenant=tenant, user=user, role=role, limited_to=places)
        return self.shown(row, status=201)


class MembershipView(MembershipsView):
    """One membership."""

    def get(self, request: Request, membership_id: UUID) -> Response:
        """Show a membership."""
        return self.shown(self._row(membership_id))

    def patch(self, request: Request, membership_id: UUID) -> Response:
        """Change role or limit; 409 for the tenant's last admin.

        Giving only one of `projects` and `sites` leaves the other unchanged.
        """
        row = self._row(membership_id)
        given = self.given(request, partial=True)
        for field, value, now in (
            ("user", given.get("user", {}).get("username"), row.user.username),
            ("tenant", given.get("tenant"), row.tenant.slug),
        ):
            if value not in (None, now):
                message = "This cannot be changed."
                raise BadInput(errors=[{"field": field, "message": message}])
        places = places_of(given, tenant=row.tenant, now=row)
        with self._as_seen(row):
            changed = change_member(row, role=given.get("role"), limited_to=places)
        return self.shown(changed)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, membership_id: UUID) -> Response:
        """End a membership; 409 for the tenant's last admin."""
        row = self._row(membership_id)
        with self._as_seen(row):
            remove_member(row)
        return Response(status=204)

    def _as_seen(self, row: Membership) -> AbstractContextManager[None]:
        return self.as_seen(
            row,
            lambda: MembershipSerializer(self._row(row.public_id)).data,
            lock=lambda: lock_member(row),
        )

    def _row(self, membership_id: UUID) -> Membership:
        return get_membership(tenants=self.administered(), public_id=membership_id)


def places_of(
    given: dict[str, Any], *, tenant: Tenant, now: Membership | None = None
) -> list[Project | Site] | None:
    """Return the projects and sites of a limit; None if the request names neither.

    A field that is not given keeps its value. Raises BadInput naming the wrong field.
    """
    if "projects" not in given and "sites" not in given:
        return None
    limits = list(now.limits.all()) if now else []
    kept = {
        "projects": [row.project.slug for row in limits if row.project],
        "sites": [row.site.slug for row in limits if row.site],
    }
    named = {field: given.get(field, kept[field]) for field in kept}
    return find_places(tenant=tenant, **named)
