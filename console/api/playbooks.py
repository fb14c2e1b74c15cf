"""REST API: playbooks, the built-in ones and the tenants' own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.definitions import ListPagination
from console.api.playbook_serializers import (
    PlaybookChangeSerializer,
    PlaybookRequestSerializer,
    PlaybookRunSerializer,
    PlaybookSerializer,
    RunRequestSerializer,
    playbook_data,
    run_data,
)
from console.definitions import BUILT_IN
from console.exceptions import PlaybookRefused
from console.models import Playbook
from console.selectors.playbooks import get_playbook, list_playbooks
from console.services.playbooks.edit import (
    change_playbook,
    create_playbook,
    delete_playbook,
)
from console.services.playbooks.runs import RunRequest, start_run
from iotplatform.common.etags import VersionedView
from iotplatform.common.problems import BadInput, Forbidden
from registry.api.base import TenantScopedMixin
from registry.permissions import Right, tenants_where
from registry.selectors.devices import get_device


class PlaybookListView(TenantScopedMixin, VersionedView, GenericAPIView[Playbook]):
    """The playbooks of the caller's tenants."""

    serializer_class = PlaybookSerializer
    pagination_class = ListPagination
    queryset = Playbook.objects.none()  # names the model to the schema

    @extend_schema(
        operation_id="playbooks_list", responses=PlaybookSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """List playbooks: the built-in ones, then the tenants' own by name."""
        own = list_playbooks(tenants=self.tenants)
        page: Any = self.paginate_queryset([*BUILT_IN.values(), *own])
        return self.get_paginated_response([playbook_data(each) for each in page])

    @extend_schema(
        request=PlaybookRequestSerializer, responses={201: PlaybookSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make a playbook; 409 naming `name` for one that is taken.

        An error names `steps.n`, with n from 0, for what is no step, and
        `steps.n.field` for a field of one.
        """
        body = PlaybookRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.resolve_tenant()
        self.require(Right.OPERATE, tenant.pk)
        given = {k: v for k, v in body.validated_data.items() if k != "tenant"}
        row = create_playbook(tenant=tenant, actor=self.caller, **given)
        return self.versioned(playbook_data(row), status=201)


class PlaybookDetailView(TenantScopedMixin, VersionedView):
    """One playbook."""

    @extend_schema(responses=PlaybookSerializer)
    def get(self, request: Request, playbook_id: str) -> Response:
        """Return a playbook; the id of a built-in one is its key."""
        found = get_playbook(tenants=self.tenants, playbook_id=playbook_id)
        return self.versioned(playbook_data(found))

    @extend_schema(request=PlaybookChangeSerializer, responses=PlaybookSerializer)
    def patch(self, request: Request, playbook_id: str) -> Response:
        """Make a new version; runs go on with the one that they began with."""
        row = self._own(playbook_id)
        body = PlaybookChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with self._as_seen(row):
            row = change_playbook(row, actor=self.caller, **body.validated_data)
        return self.versioned(playbook_data(row))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, playbook_id: str) -> Response:
        """Delete a playbook; its runs stay and go on."""
        row = self._own(playbook_id)
        with self._as_seen(row):
            delete_playbook(row)
        return Response(status=204)

    def _own(self, playbook_id: str) -> Playbook:
        """Return a row that the caller may change."""
        found = get_playbook(tenants=self.tenants, playbook_id=playbook_id)
        if not isinstance(found, Playbook):
            if not tenants_where(self.caller, Right.OPERATE):
                raise Forbidden(f"This needs the right to {Right.OPERATE}.")
            raise PlaybookRefused(f"'{found.name}' is built in: copy it to change it.")
        self.require(Right.OPERATE, found.tenant_id)
        return found

    def _as_seen(self, row: Playbook) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            return playbook_data(list_playbooks(tenants=self.tenants).get(pk=row.pk))

        return self.as_seen(row, shown)


class PlaybookRunStartView(TenantScopedMixin, GenericAPIView[Playbook]):
    """The start of a run."""

    serializer_class = RunRequestSerializer
    queryset = Playbook.objects.none()  # names the model to the schema

    @extend_schema(request=RunRequestSerializer, responses={201: PlaybookRunSerializer})
    def post(self, request: Request, playbook_id: str) -> Response:
        """Run a playbook on one `device`, or on all that match a `query` now."""
        playbook = get_playbook(tenants=self.tenants, playbook_id=playbook_id)
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = self._wanted(playbook, body.validated_data)
        self.require(Right.OPERATE, wanted.tenant.pk)
        run = start_run(wanted, actor=self.caller)
        return Response(run_data(run), status=201)

    def _wanted(self, playbook: Any, body: dict[str, Any]) -> RunRequest:
        uid, query = body.get("device"), body.get("query")
        if (uid is None) == (query is None):
            text = "Give exactly one of device and query."
            raise BadInput(device=text)
        own = isinstance(playbook, Playbook)
        rate = {"rate_per_minute": body["rate_per_minute"]}
        if uid is not None:
            tenants = [playbook.tenant] if own else self.tenants
            if "tenant" in body:
                tenants = [self.resolve_tenant()]
            device = get_device(tenants=tenants, uid=uid)
            return RunRequest(device.tenant, playbook, device=device, **rate)
        tenant = playbook.tenant if own else self.resolve_tenant()
        return RunRequest(tenant, playbook, query=str(query), **rate)
