"""REST API: the work queue. Its items are the calls of cohorts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.serializers.commands import ObjectField
from fleet.choices import CallKind
from fleet.models import CohortCall
from fleet.selectors.calls import VIEWS, get_call, list_open_calls
from fleet.services.calls import claim_call, close_call, release_call
from iotplatform.common.instants import FromToFilterSet
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.permissions import Right

Plain = serializers.Serializer[Any]
# One call about the size stands for many devices.
SCORE_OF_SIZE, SCORE_OF_DEVICE = 50, 20
VIEW = OpenApiParameter(
    "view", str, enum=VIEWS, description="Whose; all open ones by default."
)


class UrgencySerializer(Plain):
    """How urgent a work item is, and why."""

    score = serializers.IntegerField()
    reasons = serializers.ListField(child=serializers.CharField())


class WorkItemSerializer(Plain):
    """Something that needs a person: a call of a cohort."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    kind = serializers.SerializerMethodField()
    object = serializers.SerializerMethodField()
    title = serializers.CharField()
    urgency = serializers.SerializerMethodField()
    due_at = serializers.SerializerMethodField(help_text="Null: no clock runs.")
    assignee = serializers.SerializerMethodField()
    reason = serializers.ChoiceField(choices=CallKind.choices, source="kind")
    device = serializers.SerializerMethodField(
        help_text="Who entered or left; null for a call about the size."
    )
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=["cohort"]))
    def get_kind(self, call: CohortCall) -> str:
        return "cohort"

    @extend_schema_field(ObjectField())
    def get_object(self, call: CohortCall) -> dict[str, str]:
        cohort = call.cohort
        return {"kind": "cohort", "id": str(cohort.public_id), "name": cohort.name}

    @extend_schema_field(UrgencySerializer)
    def get_urgency(self, call: CohortCall) -> dict[str, Any]:
        score = SCORE_OF_SIZE if call.is_of_size else SCORE_OF_DEVICE
        return {"score": score, "reasons": [CallKind(call.kind).label]}

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_due_at(self, call: CohortCall) -> None:
        return None

    def get_assignee(self, call: CohortCall) -> str | None:
        """Return the user name of the person who has claimed it."""
        return call.assignee.get_username() if call.assignee else None

    def get_device(self, call: CohortCall) -> str | None:
        return call.uid or None


class WorkItemFilter(FromToFilterSet):
    """The filters of the queue."""

    cohort = django_filters.UUIDFilter("cohort__public_id", help_text="A cohort's id.")


class WorkItemListView(TenantScopedMixin, ListAPIView[CohortCall]):
    """What needs a person, in the order in which it came."""

    serializer_class = WorkItemSerializer
    filterset_class = WorkItemFilter
    pagination_class = OpaqueCursorPagination
    queryset = CohortCall.objects.none()  # names the model to the schema

    @extend_schema(parameters=[VIEW])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List open work items."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[CohortCall]:
        view = self.request.query_params.get("view", "all")
        if view not in VIEWS:
            raise BadInput(view=f"One of {', '.join(VIEWS)}.")
        found = list_open_calls(tenants=self.tenants, view=view, user=self.caller)
        return found.order_by("pk")


class WorkItemView(TenantScopedMixin, APIView):
    """One work item."""

    @extend_schema(responses=WorkItemSerializer)
    def get(self, request: Request, item_id: str) -> Response:
        """Return a work item, open or closed."""
        call = get_call(tenants=self.tenants, public_id=item_id)
        return Response(WorkItemSerializer(call).data)


class WorkItemActionView(TenantScopedMixin, APIView):
    """What a person does with a work item; 409 names who was first."""

    def act(self, item_id: str, service: Callable[..., CohortCall]) -> Response:
        call = get_call(tenants=self.tenants, public_id=item_id)
        self.require(Right.OPERATE, call.tenant_id)
        return Response(WorkItemSerializer(service(call, by=self.caller)).data)


class WorkItemClaimView(WorkItemActionView):
    """The claim of a work item."""

    @extend_schema(request=None, responses=WorkItemSerializer)
    def post(self, request: Request, item_id: str) -> Response:
        """Make a work item the caller's, unless it is somebody else's."""
        return self.act(item_id, claim_call)


class WorkItemReleaseView(WorkItemActionView):
    """The end of a claim."""

    @extend_schema(request=None, responses=WorkItemSerializer)
    def post(self, request: Request, item_id: str) -> Response:
        """Make a work item nobody's, also one of a person who is away."""
        return self.act(item_id, release_call)


class WorkItemCloseView(WorkItemActionView):
    """The end of a work item."""

    @extend_schema(request=None, responses=WorkItemSerializer)
    def post(self, request: Request, item_id: str) -> Response:
        """Close a work item, unless it is somebody else's."""
        return self.act(item_id, close_call)
