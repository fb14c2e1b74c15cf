"""REST API: edits of many devices at once, and their undoing."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.commands import NewestFirst
from commands.api.serializers.commands import ObjectField
from fleet.choices import EditResult, EditStatus
from fleet.file_responses import CSV, NDJSON, edit_file, read_format
from fleet.models import FleetEdit
from fleet.selectors.edits import (
    MOST_REASONS,
    SHOWN,
    get_edit,
    list_edits,
    outcome_of,
)
from fleet.services.edits import (
    EditPreview,
    EditRequest,
    preview,
    start_edit,
    undo_edit,
)
from iotplatform.common.flags import FlagField
from iotplatform.common.serializers import StrictSerializer
from registry.api.base import TenantScopedMixin
from registry.api.negotiation import FileNegotiation
from registry.choices import Lifecycle
from registry.permissions import Right
from registry.services.device_rules import MAX_TAGS

Plain = serializers.Serializer[Any]


class TagChangeSerializer(StrictSerializer):
    """Tags to add and to remove; the other ones of a device stay."""

    add = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=MAX_TAGS
    )
    remove = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=MAX_TAGS
    )


class ChangesSerializer(StrictSerializer):
    """What to change on every device; what is left out stays."""

    tags = TagChangeSerializer(required=False)
    site = serializers.CharField(
        required=False, help_text="A slug. Devices that move leave their space."
    )
    lifecycle = serializers.ChoiceField(choices=Lifecycle.choices, required=False)
    attributes = ObjectField(
        required=False, help_text="Keys to set; null removes one. The others stay."
    )


class EditRequestSerializer(StrictSerializer):
    """An edit of the devices that a query finds."""

    tenant = serializers.CharField(required=False)
    query = serializers.CharField(trim_whitespace=False)
    set = ChangesSerializer()
    reason = serializers.CharField(max_length=1_000, required=False, allow_blank=True)
    dry_run = FlagField(required=False, default=False)
    expected_count = serializers.IntegerField(
        min_value=0,
        required=False,
        allow_null=True,
        help_text="Another number of devices is refused with 409.",
    )


class LeftOutSerializer(Plain):
    """Why some devices stay as they are: how many, and the first of them."""

    reason = serializers.CharField()
    count = serializers.IntegerField()
    devices = serializers.ListField(child=serializers.CharField())


class UndoneSerializer(Plain):
    """What the undoing of an edit did."""

    by = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()
    restored = serializers.IntegerField(help_text="Devices, some of them partly.")
    skipped = serializers.IntegerField()
    reasons = LeftOutSerializer(many=True)


class EditSerializer(Plain):
    """An edit, with its devices counted by what became of them."""

    id = serializers.UUIDField(allow_null=True, help_text="Null after a dry run.")
    tenant = serializers.CharField()
    query = serializers.CharField()
    set = ObjectField()
    reason = serializers.CharField()
    count = serializers.IntegerField(help_text="Devices that the query found.")
    status = serializers.ChoiceField(choices=EditStatus.choices, allow_null=True)
    pending = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    left_out = LeftOutSerializer(many=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    detail = serializers.CharField()
    undo = UndoneSerializer(allow_null=True)


class EditShortSerializer(Plain):
    """An edit in a list."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    query = serializers.CharField()
    set = ObjectField(source="changes")
    reason = serializers.CharField()
    count = serializers.IntegerField(source="size")
    status = serializers.ChoiceField(choices=EditStatus.choices)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class EditListView(TenantScopedMixin, ListAPIView[FleetEdit]):
    """The edits of the caller's tenants."""

    serializer_class = EditShortSerializer
    pagination_class = NewestFirst
    queryset = FleetEdit.objects.none()  # names the model to the schema

    def get_queryset(self) -> Any:
        return list_edits(tenants=self.tenants)

    @extend_schema(
        request=EditRequestSerializer,
        responses={
            201: EditSerializer,
            200: OpenApiResponse(EditSerializer, description="A dry run."),
        },
    )
    def post(self, request: Request) -> Response:
        """Change every device that a query finds, or look what would change.

        A large edit goes on after the answer: its `status` is `queued` until it is
        `done`. Devices that may not change so are left out, with the reason.
        """
        body = EditRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        wanted = EditRequest(
            tenant=tenant,
            query=data["query"],
            changes=data["set"],
            reason=data.get("reason", ""),
            expected_count=data.get("expected_count"),
        )
        if data["dry_run"]:
            return Response(_previewed(wanted, preview(wanted)))
        edit = start_edit(wanted, actor=self.caller)
        return Response(_shown(edit), status=201)


class EditView(TenantScopedMixin):
    def edit(self, edit_id: str, right: Right = Right.VIEW) -> FleetEdit:
        edit = get_edit(tenants=self.tenants, public_id=edit_id)
        self.require(right, edit.tenant_id)
        return edit


class EditDetailView(EditView):
    """One edit."""

    @extend_schema(responses=EditSerializer)
    def get(self, request: Request, edit_id: str) -> Response:
        """Return how far it is, and what became of its devices."""
        return Response(_shown(self.edit(edit_id)))


class EditUndoView(EditView):
    """The undoing of an edit."""

    @extend_schema(request=None, responses=EditSerializer)
    def post(self, request: Request, edit_id: str) -> Response:
        """Restore what nobody changed since; 409 if it is undone, or not done yet."""
        edit = self.edit(edit_id, Right.MANAGE)
        return Response(_shown(undo_edit(edit, tenant=edit.tenant, actor=self.caller)))


class EditFileView(EditView):
    """The undo file of an edit."""

    content_negotiation_class = FileNegotiation

    @extend_schema(
        parameters=[OpenApiParameter("format", str, enum=[CSV, NDJSON], default=CSV)],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, edit_id: str) -> HttpResponseBase:
        """Stream each device, with its values before and after."""
        edit = self.edit(edit_id)
        return edit_file(edit, read_format(request.query_params.get("format")))


def _previewed(wanted: EditRequest, seen: EditPreview) -> dict[str, Any]:
    return {
        **dict.fromkeys(("id", "status", "created_by", "created_at", "ended_at")),
        "tenant": wanted.tenant.slug,
        "query": wanted.query,
        "set": wanted.changes,
        "reason": wanted.reason,
        "count": seen.count,
        "pending": 0,
        "changed": seen.changed,
        "unchanged": seen.unchanged,
        "left_out": [
            {"reason": reason, "count": len(uids), "devices": uids[:SHOWN]}
            for reason, uids in list(seen.left_out.items())[:MOST_REASONS]
        ],
        "detail": "",
        "undo": None,
    }


def _shown(edit: FleetEdit) -> dict[str, Any]:
    found = outcome_of(edit)
    undo = None
    if edit.undone_at is not None:
        undo = {
            "by": edit.undone_by.get_username() if edit.undone_by else None,
            "at": edit.undone_at,
            "restored": found.restored,
            "skipped": sum(found.undone.values()) - found.restored,
            "reasons": found.not_restored,
        }
    return EditSerializer(
        {
            "id": edit.public_id,
            "tenant": edit.tenant.slug,
            "query": edit.query,
            "set": edit.changes,
            "reason": edit.reason,
            "count": edit.size,
            "status": edit.status,
            "pending": found.count_of(EditResult.PENDING),
            "changed": found.count_of(EditResult.CHANGED),
            "unchanged": found.count_of(EditResult.UNCHANGED),
            "left_out": found.left_out,
            "created_by": edit.created_by.get_username() if edit.created_by else None,
            "created_at": edit.created_at,
            "ended_at": edit.ended_at,
            "detail": edit.detail,
            "undo": undo,
        }
    ).data
