"""REST: rejected messages (dead letters), and their replay."""

from __future__ import annotations

import base64
from typing import Any, cast
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.services.dead_letter_replay import (
    MOST_AT_ONCE,
    replay_letters,
)
from iotplatform.common.instants import InstantFilter
from iotplatform.common.problems import BadInput
from iotplatform.common.serializers import StrictSerializer
from registry.api.base import TenantScopedMixin
from registry.permissions import Right, is_platform_admin
from state.choices import ReplayOutcome
from state.models import DeadLetter
from state.selectors.dead_letters import (
    get_dead_letter,
    list_dead_letters,
    text_of_payload,
)


class DeadLetterSerializer(serializers.Serializer[DeadLetter]):
    """A rejected message, without its payload."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug", allow_null=True, default=None)
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    device = serializers.CharField(source="uid", help_text="the uid in the topic")
    sender = serializers.CharField(
        help_text="who published it: the device or a gateway"
    )
    topic = serializers.CharField()
    adapter = serializers.CharField()
    payload_bytes = serializers.IntegerField()
    replayed_at = serializers.DateTimeField(allow_null=True)
    replayed_by = serializers.CharField(
        source="replayed_by.username", allow_null=True, default=None
    )
    outcome = serializers.ChoiceField(ReplayOutcome.choices, allow_blank=True)
    outcome_detail = serializers.CharField()


class PayloadSerializer(serializers.Serializer[DeadLetter]):
    """A payload: as text if it is text, and always as base64."""

    text = serializers.CharField(allow_null=True)
    base64 = serializers.CharField()
    is_whole = serializers.BooleanField()


class WholeLetterSerializer(DeadLetterSerializer):
    """A rejected message with its payload."""

    payload = serializers.SerializerMethodField()

    @extend_schema(responses=PayloadSerializer)
    def get_payload(self, letter: DeadLetter) -> dict[str, Any]:
        data = bytes(letter.payload)
        return {
            "text": text_of_payload(data),
            "base64": base64.b64encode(data).decode(),
            "is_whole": len(data) == letter.payload_bytes,
        }


class ReplaySerializer(StrictSerializer):
    """Which rejected messages to replay."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE
    )


class ReplayedSerializer(serializers.Serializer[object]):
    """The outcome of one replay."""

    id = serializers.UUIDField(source="letter_id")
    outcome = serializers.ChoiceField(ReplayOutcome.choices)
    detail = serializers.CharField()


class ReplayedListSerializer(serializers.Serializer[object]):
    """The outcome of each replay, in the order of the messages' arrival."""

    results = ReplayedSerializer(many=True)


class DeadLetterFilter(django_filters.FilterSet):  # type: ignore[misc]
    device = django_filters.CharFilter("uid")
    reason = django_filters.CharFilter("reason")
    outcome = django_filters.ChoiceFilter(
        choices=[*ReplayOutcome.choices, ("none", "not replayed")],
        method="by_outcome",
    )
    before = InstantFilter("at", lookup_expr="lt")
    since = InstantFilter("at", lookup_expr="gte")

    def by_outcome(
        self, rows: QuerySet[DeadLetter], name: str, value: str
    ) -> QuerySet[DeadLetter]:
        """Keep the letters with this outcome; "none" keeps those never replayed."""
        return rows.filter(outcome="" if value == "none" else value)


class LettersMixin(TenantScopedMixin):
    """Which letters a caller may see and replay."""

    @property
    def of_platform(self) -> bool:
        """Whether the caller also sees letters of no known device."""
        of_all = "tenant" not in self.request.query_params
        return of_all and is_platform_admin(self.caller)

    def letter(self, letter_id: UUID) -> DeadLetter:
        """Return a letter that the caller may see; raises LetterNotFound."""
        return get_dead_letter(
            tenants=self.tenants, of_platform=self.of_platform, letter_id=letter_id
        )

    def require_all(self, letters: list[DeadLetter]) -> None:
        """Refuse with 403 unless the caller may operate the device of every letter."""
        for tenant_id in {letter.tenant_id for letter in letters}:
            if tenant_id is None:
                self.require_platform_admin()
            else:
                self.require(Right.OPERATE, tenant_id)


class DeadLetterListView(LettersMixin, ListAPIView[DeadLetter]):
    """Rejected messages, oldest first."""

    serializer_class = DeadLetterSerializer
    filterset_class = DeadLetterFilter

    def get_queryset(self) -> QuerySet[DeadLetter]:
        return list_dead_letters(tenants=self.tenants, of_platform=self.of_platform)


class DeadLetterView(LettersMixin, APIView):
    """One rejected message with its payload."""

    @extend_schema(responses=WholeLetterSerializer)
    def get(self, request: Request, letter_id: UUID) -> Response:
        """Return one rejected message with its payload."""
        return Response(WholeLetterSerializer(self.letter(letter_id)).data)


class ReplayLetterView(LettersMixin, APIView):
    """The replay of one rejected message."""

    @extend_schema(request=None, responses=ReplayedSerializer)
    def post(self, request: Request, letter_id: UUID) -> Response:
        """Ingest the message again, and return the outcome."""
        letter = self.letter(letter_id)
        self.require_all([letter])
        [replayed] = replay_letters([letter], by=self.caller, now=timezone.now())
        return Response(ReplayedSerializer(replayed).data)


class ReplayLettersView(LettersMixin, APIView):
    """The replay of several rejected messages."""

    @extend_schema(
        operation_id="dead_letters_replay_several",
        request=ReplaySerializer,
        responses=ReplayedListSerializer,
    )
    def post(self, request: Request) -> Response:
        """Ingest messages again; each has its own outcome."""
        given = ReplaySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        ids = cast("list[UUID]", given.validated_data["ids"])
        rows = list_dead_letters(tenants=self.tenants, of_platform=self.of_platform)
        found = {row.public_id: row for row in rows.filter(public_id__in=ids)}
        if missing := [n for n, key in enumerate(ids) if key not in found]:
            text = "There is no such rejected message; only the newest are kept."
            raise BadInput(
                errors=[{"field": f"ids.{n}", "message": text} for n in missing]
            )
        letters = list(found.values())
        self.require_all(letters)
        results = replay_letters(letters, by=self.caller, now=timezone.now())
        return Response(ReplayedListSerializer({"results": results}).data)
