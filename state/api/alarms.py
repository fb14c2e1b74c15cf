"""REST: alarms, and their acknowledgement."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from iotplatform.common.flags import FlagFilter
from iotplatform.common.ids import parse_uuid
from iotplatform.common.instants import FromToFilterSet, InstantFilter
from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from state.api.serializers import (
    AcknowledgedSerializer,
    AcknowledgeSerializer,
    AlarmSerializer,
    AlarmWithHistorySerializer,
)
from state.choices import OPEN_ALARMS, AlarmState, Severity
from state.models import Alarm
from state.selectors.alarms import (
    change_log_of,
    find_alarms,
    get_alarm,
    list_alarms,
)
from state.services.alarms.ingest import acknowledge_alarm, acknowledge_alarms


class AlarmFilter(FromToFilterSet):
    """The filters of the list of alarms."""

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
    open = FlagFilter(
        method="narrow_open", help_text="Raised or acknowledged, but not cleared."
    )
    flapping = FlagFilter(
        method="narrow_flapping", help_text="Kept open because it comes and goes."
    )
    from_ = InstantFilter(
        field_name="raised_at", lookup_expr="gte", help_text="Raised at or after."
    )
    to = InstantFilter(
        field_name="raised_at", lookup_expr="lt", help_text="Raised before."
    )

    def narrow_open(
        self, rows: QuerySet[Alarm], name: str, value: bool
    ) -> QuerySet[Alarm]:
        states = tuple(OPEN_ALARMS)
        return (
            rows.filter(state__in=states) if value else rows.exclude(state__in=states)
        )

    def narrow_flapping(
        self, rows: QuerySet[Alarm], name: str, value: bool
    ) -> QuerySet[Alarm]:
        flaps = {"flapping_since__isnull": False, "state__in": tuple(OPEN_ALARMS)}
        return rows.filter(**flaps) if value else rows.exclude(**flaps)


class AlarmListView(TenantScopedMixin, ListAPIView[Alarm]):
    """Alarms, open and cleared, in the order in which they were raised."""

    serializer_class = AlarmSerializer
    filterset_class = AlarmFilter

    def get_queryset(self) -> QuerySet[Alarm]:
        return list_alarms(tenants=self.tenants)


class AlarmView(TenantScopedMixin, APIView):
    """One alarm."""

    @extend_schema(responses=AlarmWithHistorySerializer)
    def get(self, request: Request, alarm_id: str) -> Response:
        """Return an alarm with its changes: what happened, when, why and by whom."""
        alarm = get_alarm(tenants=self.tenants, alarm_id=parse_uuid(alarm_id))
        alarm.history = change_log_of(alarm)  # type: ignore[attr-defined]
        return Response(AlarmWithHistorySerializer(alarm).data)


class AlarmAcknowledgeView(TenantScopedMixin, APIView):
    """The acknowledgement of an alarm."""

    @extend_schema(request=None, responses=AlarmSerializer)
    def post(self, request: Request, alarm_id: str, **kwargs: Any) -> Response:
        """Acknowledge an open alarm; doing it again changes nothing."""
        alarm = get_alarm(tenants=self.tenants, alarm_id=parse_uuid(alarm_id))
        self.require(Right.OPERATE, alarm.tenant_id)
        alarm = acknowledge_alarm(alarm, by=self.caller, at=datetime.now(UTC))
        return Response(AlarmSerializer(alarm).data)


class AlarmsAcknowledgeView(TenantScopedMixin, APIView):
    """The acknowledgement of several alarms."""

    @extend_schema(
        operation_id="alarms_acknowledge_several",
        request=AcknowledgeSerializer,
        responses=AcknowledgedSerializer,
    )
    def post(self, request: Request) -> Response:
        """Acknowledge alarms, all or none; those that are cleared stay as they are.

        404 if one of them does not exist. `acknowledged` counts those that nobody had
        acknowledged before.
        """
        given = AcknowledgeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        ids = set(given.validated_data["ids"])
        found = find_alarms(tenants=self.tenants, ids=ids)
        for tenant_id in sorted({alarm.tenant_id for alarm in found}):
            self.require(Right.OPERATE, tenant_id)
        done = acknowledge_alarms(found, by=self.caller, at=datetime.now(UTC))
        fresh = find_alarms(tenants=self.tenants, ids=ids)
        answer = {"acknowledged": done, "alarms": fresh}
        return Response(AcknowledgedSerializer(answer).data)
