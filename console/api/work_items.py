"""REST API: the work queue: incidents, the attention inbox, the calls of cohorts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.serializers.commands import ObjectField
from console.selectors.work_items import (
    KINDS,
    MergedRows,
    WorkItem,
    get_work_item,
    list_work_items,
)
from console.services.work_items import claim_item, close_item, release_item
from fleet.selectors.calls import VIEWS
from iotplatform.common.ids import parse_uuid
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.permissions import Right

Plain = serializers.Serializer[Any]
VIEW = OpenApiParameter(
    "view", str, enum=VIEWS, description="Whose; all open ones by default."
)
KIND = OpenApiParameter("kind", str, enum=KINDS, description="Only this kind.")
COHORT = OpenApiParameter("cohort", UUID, description="A cohort's id: only its calls.")


class UrgencySerializer(Plain):
    """How urgent a work item is, and why."""

    score = serializers.IntegerField()
    reasons = serializers.ListField(
        child=serializers.CharField(), source="score_reasons"
    )


class WorkItemSerializer(Plain):
    """Something that needs a person."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    kind = serializers.ChoiceField(choices=KINDS)
    object = serializers.SerializerMethodField()
    title = serializers.CharField()
    urgency = UrgencySerializer(source="*")
    due_at = serializers.DateTimeField(
        allow_null=True, help_text="Null: no clock runs."
    )
    assignee = serializers.SerializerMethodField()
    reason = serializers.CharField(
        help_text="Why it came: of a cohort `entered`, `left`, `reached` or `fell`,"
        " else in words."
    )
    device = serializers.CharField(
        allow_null=True, help_text="Its uid; null where it is about many devices."
    )
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(ObjectField())
    def get_object(self, item: WorkItem) -> dict[str, str]:
        return item.object

    def get_assignee(self, item: WorkItem) -> str | None:
        """Return the user name of the person who has claimed it."""
        return item.assignee.get_username() if item.assignee else None


class ByUrgency(OpaqueCursorPagination):
    """Pages of the most urgent first; equally urgent ones in the order they came."""

    ordering = "place"


class WorkItemListView(TenantScopedMixin, ListAPIView[Any]):
    """What needs a person, the most urgent first."""

    serializer_class = WorkItemSerializer
    pagination_class = ByUrgency
    filter_backends = ()  # the rows are of several tables

    @extend_schema(parameters=[VIEW, KIND, COHORT])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List open work items."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> MergedRows:  # type: ignore[override]
        asked = self.request.query_params
        view, kind, cohort = asked.get("view", "all"), asked.get("kind"), None
        if view not in VIEWS:
            raise BadInput(view=f"One of {', '.join(VIEWS)}.")
        if kind is not None and kind not in KINDS:
            raise BadInput(kind=f"One of {', '.join(KINDS)}.")
        if "cohort" in asked and (cohort := parse_uuid(asked["cohort"])) is None:
            raise BadInput(cohort="Not the id of a cohort.")
        return list_work_items(
            tenants=self.tenants,
            view=view,
            user=self.caller,
            kind=kind,
            cohort=cohort,
        )


class WorkItemView(TenantScopedMixin, APIView):
    """One work item."""

    @extend_schema(responses=WorkItemSerializer)
    def get(self, request: Request, item_id: str) -> Response:
        """Return a work item, open or closed."""
        item = get_work_item(tenants=self.tenants, public_id=item_id)
        return Response(WorkItemSerializer(item).data)


class WorkItemActionView(TenantScopedMixin, APIView):
    """What a person does with a work item; 409 names who was first."""

    def act(self, item_id: str, service: Callable[..., WorkItem]) -> Response:
        item = get_work_item(tenants=self.tenants, public_id=item_id)
        self.require(Right.OPERATE, item.tenant.pk)
        return Response(WorkItemSerializer(service(item, by=self.caller)).data)


class WorkItemClaimView(WorkItemActionView):
    """The claim of a work item."""

    @extend_schema(request=None, responses=WorkItemSerializer)
    def post(self, request: Request, item_id: str) -> Response:
        """Make a work item the caller's, unless it is somebody else's."""
        return self.act(item_id, claim_item)


class WorkItemReleaseView(WorkItemActionView):
    """The end of a claim."""

    @extend_schema(request=None, responses=WorkItemSerializer)
    def post(self, request: Request, item_id: str) -> Response:
        """Make a work item nobody's, also one of a person who is away."""
        return self.act(item_id, release_item)


class WorkItemCloseView(WorkItemActionView):
    """The end of a work item."""

    @extend_schema(request=None, responses=WorkItemSerializer)
    def post(self, request: Request, item_id: str) -> Response:
        """Close a work item, unless it is somebody else's."""
        return self.act(item_id, close_item)
