"""REST: the platform's own figures, for its superusers."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.monitoring.metrics import platform_figures
from registry.api.base import TenantScopedMixin


class IngestFiguresSerializer(serializers.Serializer[object]):
    """Messages per second, and the lag of the slowest slot."""

    rate = serializers.FloatField()
    lag_seconds = serializers.FloatField(allow_null=True)


class IndexFiguresSerializer(serializers.Serializer[object]):
    """How far the search index is behind the database."""

    lag_seconds = serializers.FloatField(allow_null=True)


class DeadLetterFiguresSerializer(serializers.Serializer[object]):
    """The number of all messages that were ever refused."""

    total = serializers.IntegerField()
    by_reason = serializers.DictField(child=serializers.IntegerField())


class AdapterFiguresSerializer(serializers.Serializer[object]):
    """The time from sent to received, in the last hour."""

    latency_p50_ms = serializers.FloatField(allow_null=True)
    latency_p95_ms = serializers.FloatField(allow_null=True)


class PlatformSerializer(serializers.Serializer[object]):
    """The platform's own figures."""

    ingest = IngestFiguresSerializer()
    index = IndexFiguresSerializer()
    queues = serializers.DictField(child=serializers.IntegerField())
    dead_letters = DeadLetterFiguresSerializer()
    adapters = serializers.DictField(child=AdapterFiguresSerializer())


class PlatformView(TenantScopedMixin):
    """The platform's own figures."""

    query_parameters = ()  # they are those of all tenants

    @extend_schema(responses={200: PlatformSerializer})
    def get(self, request: Request) -> Response:
        """Show rates, lags, queues and dead letters; platform superusers only."""
        self.require_platform_admin()
        return Response(PlatformSerializer(platform_figures()).data)
