"""REST: alarms, and that a person has seen one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from iotplatform.common.instants import InstantFilter
from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from state.api.serializers import (
    AlarmSerializer,
    AlarmWithHistorySerializer,
)
from state.choices import OPEN_ALARMS, AlarmState, Severity
from state.models import Alarm
from state.selectors.alarms import get_alarm, history_of, list_alarms
from state.services.alarms.ingest import acknowledge_alarm


class AlarmFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What a list of alarms may be narrowed by."""

    device = django_filters.CharFilter("device__uid", help_text="A device's uid.")
    project = django_filters.CharFilter("device__project__slug")
    site = django_filters.CharFilter("device__site__slug")
    region = django_filters.CharFilter("device__site__region")
    product = django_filters.CharFilter("device__product__slug")
    code = django_filters.CharFilter("code")
    rule = django_filters.UUIDFilter("rule__public_id", help_text="A rule's id.")
    state = django_filters.MultipleChoiceFilter(
        choices=AlarmState.choices, help_text="One or several."
    )
    severity = django_filters.MultipleChoiceFilter(
        choices=Severity.choices, help_text="One or several."
    )
    open = django_filters.BooleanFilter(
        method="narrow_open", help_text="Raised or acknowledged, and not cleared."
    )
    flapping = django_filters.BooleanFilter(
        method="narrow_flapping", help_text="Held open, because it comes and goes."
    )

    @classmethod
    def get_filters(cls) -> Any:
        """Add the ends of a span, of which one has a word of Python for its name."""
        filters = super().get_filters()
        filters["from"] = InstantFilter(
            field_name="raised_at", lookup_expr="gte", help_text="Raised at or after."
        )
        filters["to"] = InstantFilter(
            field_name="raised_at", lookup_expr="lt", help_text="Raised before."
        )
        return filters

    def narrow_open(
        self, rows: QuerySet[Alarm], name: str, value: bool
    ) -> QuerySet[Alarm]:
        """Keep what is open, or what is not."""
        states = tuple(OPEN_ALARMS)
        return (
            rows.filter(state__in=states) if value else rows.exclude(state__in=states)
        )

    def narrow_flapping(
        self, rows: QuerySet[Alarm], name: str, value: bool
    ) -> QuerySet[Alarm]:
        """Keep what comes and goes, or what does not."""
        flaps = {"flapping_since__isnull": False, "state__in": tuple(OPEN_ALARMS)}
        return rows.filter(**flaps) if value else rows.exclude(**flaps)


class AlarmListView(TenantScopedMixin, ListAPIView[Alarm]):
    """Alarms, open and cleared, in the order of their raising."""

    serializer_class = AlarmSerializer
    filterset_class = AlarmFilter

    def get_queryset(self) -> QuerySet[Alarm]:
        """Return the alarms that the caller may see."""
        return list_alarms(tenants=self.tenants)


class AlarmView(TenantScopedMixin, APIView):
    """One alarm."""

    @extend_schema(responses=AlarmWithHistorySerializer)
    def get(self, request: Request, alarm_id: str) -> Response:
        """Return an alarm with its history: what happened to it, when, why, by whom."""
        alarm = get_alarm(tenants=self.tenants, alarm_id=_uuid(alarm_id))
        alarm.history = history_of(alarm)  # type: ignore[attr-defined]
        return Response(AlarmWithHistorySerializer(alarm).data)


class AlarmAcknowledgeView(TenantScopedMixin, APIView):
    """A person has seen an alarm."""

    @extend_schema(request=None, responses=AlarmSerializer)
    def post(self, request: Request, alarm_id: str, **kwargs: Any) -> Response:
        """Acknowledge an open alarm; a second time changes nothing."""
        alarm = get_alarm(tenants=self.tenants, alarm_id=_uuid(alarm_id))
        self.require(Right.OPERATE, alarm.tenant_id)
        alarm = acknowledge_alarm(alarm, by=self.caller, at=datetime.now(UTC))
        return Response(AlarmSerializer(alarm).data)


def _uuid(text: str) -> UUID | None:
    """Read an id; ids are opaque, so one that is none is just not found."""
    try:
        return UUID(text)
    except ValueError:
        return None
