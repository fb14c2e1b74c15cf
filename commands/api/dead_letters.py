"""REST: messages that could not be taken, and taking them in again."""

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
    """A letter as a list shows it."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug", allow_null=True, default=None)
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    device = serializers.CharField(source="uid", help_text="as the topic names it")
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
    """What a letter said: as text where it is one, and always as it came."""

    text = serializers.CharField(allow_null=True)
    base64 = serializers.CharField()
    is_whole = serializers.BooleanField()


class WholeLetterSerializer(DeadLetterSerializer):
    """A letter with its payload."""

    payload = serializers.SerializerMethodField()

    @extend_schema(responses=PayloadSerializer)
    def get_payload(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the payload in the ways that JSON can carry."""
        data = bytes(letter.payload)
        return {
            "text": text_of_payload(data),
            "base64": base64.b64encode(data).decode(),
            "is_whole": len(data) == letter.payload_bytes,
        }


class ReplaySerializer(StrictSerializer):
    """Which letters to take in again."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE
    )


class ReplayedSerializer(serializers.Serializer[object]):
    """What came of one."""

    id = serializers.UUIDField(source="letter_id")
    outcome = serializers.ChoiceField(ReplayOutcome.choices)
    detail = serializers.CharField()


class ReplayedListSerializer(serializers.Serializer[object]):
    """What came of each, in the order of their coming."""

    results = ReplayedSerializer(many=True)


class DeadLetterFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What a list of letters may be narrowed by."""

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
        """Keep those of an outcome, or those that nobody took in again."""
        return rows.filter(outcome="" if value == "none" else value)


class LettersMixin(TenantScopedMixin):
    """Whose letters a caller reaches."""

    @property
    def of_platform(self) -> bool:
        """Whether letters of no device are theirs, too."""
        of_all = "tenant" not in self.request.query_params
        return of_all and is_platform_admin(self.caller)

    def letter(self, letter_id: UUID) -> DeadLetter:
        """Return one that the caller may see; raises LetterNotFound."""
        return get_dead_letter(
            tenants=self.tenants, of_platform=self.of_platform, letter_id=letter_id
        )

    def require_all(self, letters: list[DeadLetter]) -> None:
        """Refuse with 403 who may not act for the device of each."""
        for tenant_id in {letter.tenant_id for letter in letters}:
            if tenant_id is None:
                self.require_platform_admin()
            else:
                self.require(Right.OPERATE, tenant_id)


class DeadLetterListView(LettersMixin, ListAPIView[DeadLetter]):
    """Messages that could not be taken, in the order of their coming."""

    serializer_class = DeadLetterSerializer
    filterset_class = DeadLetterFilter

    def get_queryset(self) -> QuerySet[DeadLetter]:
        """Return the letters that the caller may see."""
        return list_dead_letters(tenants=self.tenants, of_platform=self.of_platform)


class DeadLetterView(LettersMixin, APIView):
    """One letter with its payload."""

    @extend_schema(responses=WholeLetterSerializer)
    def get(self, request: Request, letter_id: UUID) -> Response:
        """Return one."""
        return Response(WholeLetterSerializer(self.letter(letter_id)).data)


class ReplayLetterView(LettersMixin, APIView):
    """One letter, taken in again."""

    @extend_schema(request=None, responses=ReplayedSerializer)
    def post(self, request: Request, letter_id: UUID) -> Response:
        """Take the message in again, and say what came of it."""
        letter = self.letter(letter_id)
        self.require_all([letter])
        [replayed] = replay_letters([letter], by=self.caller, now=timezone.now())
        return Response(ReplayedSerializer(replayed).data)


class ReplayLettersView(LettersMixin, APIView):
    """Several letters, taken in again."""

    @extend_schema(
        operation_id="dead_letters_replay_several",
        request=ReplaySerializer,
        responses=ReplayedListSerializer,
    )
    def post(self, request: Request) -> Response:
        """Take messages in again; each has an outcome of its own."""
        given = ReplaySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        ids = cast("list[UUID]", given.validated_data["ids"])
        rows = list_dead_letters(tenants=self.tenants, of_platform=self.of_platform)
        found = {row.public_id: row for row in rows.filter(public_id__in=ids)}
        if missing := [n for n, key in enumerate(ids) if key not in found]:
            text = "There is no such dead letter; only the newest are kept."
            raise BadInput(
                errors=[{"field": f"ids.{n}", "message": text} for n in missing]
            )
        letters = list(found.values())
        self.require_all(letters)
        results = replay_letters(letters, by=self.caller, now=timezone.now())
        return Response(ReplayedListSerializer({"results": results}).data)
