"""REST: commands, and actions on them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import django_filters
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.serializers.commands import (
    CommandRequestSerializer,
    CommandSerializer,
    ReasonSerializer,
)
from commands.api.waiting import WAIT, wait_if_asked
from commands.choices import CommandClass, CommandStatus, FailureClass
from commands.models import Command
from commands.selectors.commands import (
    attempts_of,
    events_of,
    get_command,
    list_commands,
)
from commands.selectors.files import files_of, get_file, read_file
from commands.services import actions, approvals
from commands.services.commands import request_command
from iotplatform.common.instants import InstantFilter
from iotplatform.common.pagination import OpaqueCursorPagination
from registry.api.base import TenantScopedMixin
from registry.api.negotiation import FileNegotiation
from registry.permissions import Right
from registry.selectors.devices import get_device

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same body returns the first answer.",
)


class NewestFirst(OpaqueCursorPagination):
    """The newest rows first."""

    ordering = "-pk"


class CommandFilter(django_filters.FilterSet):  # type: ignore[misc]
    device = django_filters.CharFilter(field_name="device__uid")
    name = django_filters.CharFilter()
    status = django_filters.MultipleChoiceFilter(choices=CommandStatus.choices)
    failure_class = django_filters.MultipleChoiceFilter(choices=FailureClass.choices)
    job = django_filters.UUIDFilter(field_name="job__public_id")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Command
        fields: list[str] = []

    @classmethod
    def get_filters(cls) -> Any:
        """Add ``class``, which Python does not allow as a name above."""
        filters = super().get_filters()
        filters["class"] = django_filters.MultipleChoiceFilter(
            field_name="command_class", choices=CommandClass.choices
        )
        return filters


def command_data(commands: Collection[Command], request: Request) -> list[Any]:
    """Return commands as the API shows them, in three queries for any number."""
    context = {
        "request": request,
        "attempts": attempts_of(commands),
        "events": events_of(commands),
        "files": files_of(commands),
    }
    return list(CommandSerializer(list(commands), many=True, context=context).data)


@extend_schema_view(get=extend_schema(summary="Commands, the newest first"))
class CommandListView(TenantScopedMixin, ListAPIView[Command]):
    """The commands of the caller's tenants."""

    serializer_class = CommandSerializer
    pagination_class = NewestFirst
    filterset_class = CommandFilter
    queryset = Command.objects.none()  # names the model for the schema

    def get_queryset(self) -> Any:
        return list_commands(tenants=self.tenants)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return one page of commands with their attempts and events."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(command_data(page or [], request))

    @extend_schema(
        request=CommandRequestSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={
            201: CommandSerializer,
            200: OpenApiResponse(CommandSerializer, "A repeat: the first answer"),
        },
    )
    def post(self, request: Request) -> Response:
        """Request one command for one device."""
        body = CommandRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        tenants = self.tenants
        if "tenant" in wanted:
            tenants = [self.resolve_tenant()]
        device = get_device(tenants=tenants, uid=wanted["device"])
        self.require(Right.OPERATE, device.tenant_id)
        command, is_new = request_command(
            device=device,
            name=wanted["name"],
            params=wanted["params"],
            policy=wanted["policy"],
            idempotency_key=request.headers.get("Idempotency-Key"),
            actor=self.caller,
        )
        return Response(
            command_data([command], request)[0], status=201 if is_new else 200
        )


class CommandDetailView(TenantScopedMixin, APIView):
    """One command."""

    @extend_schema(parameters=[WAIT], responses=CommandSerializer)
    def get(self, request: Request, command_id: str) -> Response:
        """Return the command with its attempts and events."""
        command = get_command(tenants=self.tenants, public_id=command_id)
        if wait_if_asked(request, ("command", command.pk)):
            command = get_command(tenants=self.tenants, public_id=command_id)
        return Response(command_data([command], request)[0])


class DeviceFileView(TenantScopedMixin, APIView):
    """A file that a device uploaded for a command."""

    content_negotiation_class = FileNegotiation

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, command_id: str, file_id: str) -> HttpResponse:
        """Download the file."""
        command = get_command(tenants=self.tenants, public_id=command_id)
        file = get_file(command, file_id)
        answer = HttpResponse(read_file(file), content_type="text/plain; charset=utf-8")
        answer["Content-Disposition"] = content_disposition_header(True, file.name)
        answer["Cache-Control"] = "private, no-store"
        return answer


class CommandActionView(TenantScopedMixin, GenericAPIView[Command]):
    """An action on a command; each URL names one."""

    serializer_class = ReasonSerializer
    act: Callable[..., Command] = staticmethod(actions.cancel_command)
    right = Right.OPERATE

    @extend_schema(request=ReasonSerializer, responses=CommandSerializer)
    def post(self, request: Request, command_id: str) -> Response:
        # The schema describes it by the docstring of the class.
        body = self.get_serializer(data=request.data or {})
        body.is_valid(raise_exception=True)
        command = get_command(tenants=self.tenants, public_id=command_id)
        self.require(self.right, command.tenant_id)
        acted = self.act(
            command=command, actor=self.caller, reason=body.validated_data["reason"]
        )
        return self._answer(acted)

    def _answer(self, acted: Command) -> Response:
        command = get_command(tenants=self.tenants, public_id=acted.public_id)
        return Response(command_data([command], self.request)[0])


class ApproveCommandView(CommandActionView):
    """Let another person's command go that needs an approval."""

    act = staticmethod(approvals.approve_command)
    right = Right.APPROVE


class CancelCommandView(CommandActionView):
    """Cancel a command that the device does not have yet."""

    act = staticmethod(actions.cancel_command)


class RetryCommandView(CommandActionView):
    """Retry a command; if the device ended it, with a linked new command."""

    act = staticmethod(actions.retry_command)


class EscalateCommandView(CommandActionView):
    """Record that a person must look at a command."""

    act = staticmethod(actions.escalate_command)
