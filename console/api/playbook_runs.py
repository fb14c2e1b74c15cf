"""REST API: runs of playbooks, and what people do with them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.commands import NewestFirst
from console.api.playbook_serializers import (
    AnswerSerializer,
    PlaybookRunSerializer,
    RunDeviceSerializer,
    RunSummarySerializer,
    devices_data,
    run_data,
)
from console.exceptions import NoSuchRun
from console.models import PlaybookRun, PlaybookRunDevice
from console.selectors.playbooks import get_run, list_run_devices, list_runs
from console.services.playbooks.runs import (
    answer_step,
    retry_step,
    skip_step,
    stop_run,
)
from iotplatform.common.pagination import OpaqueCursorPagination
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class RunListView(TenantScopedMixin, ListAPIView[PlaybookRun]):
    """The runs of the caller's tenants, the newest first."""

    serializer_class = RunSummarySerializer
    pagination_class = NewestFirst
    queryset = PlaybookRun.objects.none()  # names the model to the schema

    def get_queryset(self) -> Any:
        return list_runs(tenants=self.tenants)


class RunDetailView(TenantScopedMixin, APIView):
    """One run."""

    @extend_schema(responses=PlaybookRunSerializer)
    def get(self, request: Request, run_id: str) -> Response:
        """Return a run with its first 1,000 devices, by uid."""
        return Response(run_data(get_run(tenants=self.tenants, public_id=run_id)))


class ByUid(OpaqueCursorPagination):
    """Pages by uid; a device is only once in a run."""

    ordering = "uid"


class RunDeviceListView(TenantScopedMixin, ListAPIView[PlaybookRunDevice]):
    """All devices of a run, by uid."""

    serializer_class = RunDeviceSerializer
    pagination_class = ByUid
    queryset = PlaybookRunDevice.objects.none()  # names the model to the schema

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return one page of devices with the steps that each has entered."""
        run = get_run(tenants=self.tenants, public_id=self.kwargs["run_id"])
        page = self.paginate_queryset(list_run_devices(run))
        return self.get_paginated_response(devices_data(run, page or []))


def step_number(text: str) -> int:
    """Return the number of a step; raises NoSuchRun for what is no number."""
    if text.isascii() and text.isdigit() and len(text) <= 4:
        return int(text)
    raise NoSuchRun("The run has no such step.")


class RunActionView(TenantScopedMixin, APIView):
    """What a person does with a run."""

    def run_of(self, run_id: str) -> PlaybookRun:
        """Return a run that the caller may act on."""
        run = get_run(tenants=self.tenants, public_id=run_id)
        self.require(Right.OPERATE, run.tenant_id)
        return run


class RunAnswerView(RunActionView):
    """The answer to a question of a run."""

    @extend_schema(request=AnswerSerializer, responses=PlaybookRunSerializer)
    def post(self, request: Request, run_id: str, number: str) -> Response:
        """Answer for all devices that wait at this step; 409 where none does."""
        run = self.run_of(run_id)
        body = AnswerSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        answer = body.validated_data["answer"]
        return Response(
            run_data(answer_step(run, step_number(number), answer, by=self.caller))
        )


class RunSkipView(RunActionView):
    """The end of a step without its outcome."""

    @extend_schema(request=None, responses=PlaybookRunSerializer)
    def post(self, request: Request, run_id: str, number: str) -> Response:
        """Let all devices at this step go on; what was sent stays sent."""
        run = self.run_of(run_id)
        return Response(run_data(skip_step(run, step_number(number), by=self.caller)))


class RunRetryView(RunActionView):
    """Another try of a failed step."""

    @extend_schema(request=None, responses=PlaybookRunSerializer)
    def post(self, request: Request, run_id: str, number: str) -> Response:
        """Do this step again for the devices that failed at it."""
        run = self.run_of(run_id)
        return Response(run_data(retry_step(run, step_number(number), by=self.caller)))


class RunStopView(RunActionView):
    """The stop of a run."""

    @extend_schema(request=None, responses=PlaybookRunSerializer)
    def post(self, request: Request, run_id: str) -> Response:
        """Stop a run: nothing more is sent; what was sent goes on."""
        return Response(run_data(stop_run(self.run_of(run_id), by=self.caller)))
