"""REST API: incidents, and what people do with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console.api.incident_serializers import (
    AssignSerializer,
    IncidentSerializer,
    MergeSerializer,
    NoteSerializer,
    ResolveSerializer,
    SnoozeSerializer,
)
from console.choices import IncidentCause, IncidentStatus
from console.exceptions import IncidentTaken
from console.forms.incidents import read_person, read_target
from console.models import Incident
from console.presenters.incidents import show_incident, show_incidents
from console.selectors.incidents import get_incident, list_incidents
from console.services.incidents.actions import (
    acknowledge_incident,
    assign_incident,
    claim_incident,
    merge_incident,
    note_incident,
    release_incident,
    reopen_incident,
    resolve_incident,
    snooze_incident,
)
from iotplatform.common.instants import FromToFilterSet, InstantFilter
from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from registry.selectors.access import attach_caller_tenant
from state.choices import Severity


class IncidentFilter(FromToFilterSet):
    """The filters of the list of incidents."""

    status = django_filters.MultipleChoiceFilter(
        choices=IncidentStatus.choices, help_text="One or several."
    )
    cause = django_filters.MultipleChoiceFilter(
        choices=IncidentCause.choices, help_text="One or several."
    )
    severity = django_filters.MultipleChoiceFilter(
        choices=Severity.choices, help_text="One or several."
    )
    assignee = django_filters.CharFilter(
        "assignee__username", help_text="A person's user name."
    )
    object = django_filters.CharFilter(
        "object_id", help_text="The id of what it is about."
    )
    from_ = InstantFilter(
        field_name="opened_at", lookup_expr="gte", help_text="Opened at or after."
    )
    to = InstantFilter(
        field_name="opened_at", lookup_expr="lt", help_text="Opened before."
    )


class IncidentListView(TenantScopedMixin, ListAPIView[Incident]):
    """Incidents, open and resolved, in the order in which they were opened."""

    serializer_class = IncidentSerializer
    filterset_class = IncidentFilter

    def get_queryset(self) -> QuerySet[Incident]:
        return list_incidents(tenants=self.tenants)

    def paginate_queryset(self, queryset: Any) -> Any:
        rows = super().paginate_queryset(queryset)
        return rows if rows is None else show_incidents(rows)


class IncidentView(TenantScopedMixin, APIView):
    """One incident."""

    @extend_schema(responses=IncidentSerializer)
    def get(self, request: Request, incident_id: str) -> Response:
        """Return an incident with its diagnosis and what was changed before it."""
        row = get_incident(tenants=self.tenants, public_id=incident_id)
        return Response(IncidentSerializer(show_incident(row)).data)


class IncidentActionView(TenantScopedMixin, APIView):
    """What a person does with an incident; 409 shows it as it stands."""

    def find(self, incident_id: str) -> Incident:
        row = get_incident(tenants=self.tenants, public_id=incident_id)
        self.require(Right.OPERATE, row.tenant_id)
        return row

    def act(self, row: Incident, service: Callable[..., Incident]) -> Response:
        try:
            done = service(row, by=self.caller)
        except IncidentTaken as error:
            error.show(self._document(error.incident))
            raise
        return Response(self._document(done))

    def _document(self, row: Incident) -> Any:
        attach_caller_tenant(row, self.tenants)  # with the caller's limit
        return IncidentSerializer(show_incident(row)).data

    def read(self, serializer: type[Any]) -> dict[str, Any]:
        given = serializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)


class IncidentClaimView(IncidentActionView):
    """The claim of an incident."""

    @extend_schema(request=None, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Make an incident the caller's, unless it is somebody else's."""
        return self.act(self.find(incident_id), claim_incident)


class IncidentReleaseView(IncidentActionView):
    """The end of a claim."""

    @extend_schema(request=None, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Make an incident nobody's, also one of a person who is away."""
        return self.act(self.find(incident_id), release_incident)


class IncidentAssignView(IncidentActionView):
    """The assignment of an incident to a person."""

    @extend_schema(request=AssignSerializer, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Give an incident to a member who may operate."""
        row = self.find(incident_id)
        person = read_person(row.tenant, self.read(AssignSerializer)["assignee"])
        return self.act(row, partial(assign_incident, to=person))


class IncidentAcknowledgeView(IncidentActionView):
    """The acknowledgement of an incident."""

    @extend_schema(request=None, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Acknowledge an incident; doing it again changes nothing."""
        return self.act(self.find(incident_id), acknowledge_incident)


class IncidentSnoozeView(IncidentActionView):
    """The snooze of an incident."""

    @extend_schema(request=SnoozeSerializer, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Take an incident out of the queue until a time to come."""
        row, given = self.find(incident_id), self.read(SnoozeSerializer)
        return self.act(row, partial(snooze_incident, **given))


class IncidentNoteView(IncidentActionView):
    """A note in the timeline of an incident."""

    @extend_schema(request=NoteSerializer, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Write a note into the timeline."""
        row, given = self.find(incident_id), self.read(NoteSerializer)
        return self.act(row, partial(note_incident, **given))


class IncidentResolveView(IncidentActionView):
    """The end of an incident by a person."""

    @extend_schema(request=ResolveSerializer, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Resolve an incident; it comes back only with new evidence."""
        row, given = self.find(incident_id), self.read(ResolveSerializer)
        return self.act(row, partial(resolve_incident, **given))


class IncidentReopenView(IncidentActionView):
    """The return of a resolved incident by a person."""

    @extend_schema(request=None, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Open a resolved incident again, until a person resolves it."""
        return self.act(self.find(incident_id), reopen_incident)


class IncidentMergeView(IncidentActionView):
    """The merge of an incident into another one."""

    @extend_schema(request=MergeSerializer, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: str) -> Response:
        """Resolve an incident as a part of another open one of its tenant."""
        row = self.find(incident_id)
        into = read_target(self.tenants, self.read(MergeSerializer)["into"])
        return self.act(row, partial(merge_incident, into=into))
