"""REST: the caller's own API tokens."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.base import TenantScopedMixin
from registry.api.serializers.people import (
    ApiTokenSerializer,
    IssuedTokenSerializer,
    NewTokenSerializer,
)
from registry.models import ApiToken
from registry.selectors.tokens import get_token, list_tokens
from registry.services.tokens import create_token, revoke_token


class TokenListView(TenantScopedMixin, GenericAPIView[ApiToken]):
    """The caller's own keys."""

    query_parameters = ()  # a key belongs to no tenant

    serializer_class = ApiTokenSerializer
    queryset = ApiToken.objects.none()  # names the model to the schema

    def get_queryset(self) -> QuerySet[ApiToken]:
        return list_tokens(self.caller)

    @extend_schema(operation_id="tokens_list", responses=ApiTokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List your keys, expired and revoked ones too, without their secrets."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(request=NewTokenSerializer, responses={201: IssuedTokenSerializer})
    def post(self, request: Request) -> Response:
        """Make a key, shown only now.

        A key cannot make a key with more rights or a later expiry date than its own.
        """
        given = NewTokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        maker = request.auth if isinstance(request.auth, ApiToken) else None
        token, key = create_token(
            user=self.caller, made_with=maker, **given.validated_data
        )
        token.token = key  # type: ignore[attr-defined]
        answer = Response(IssuedTokenSerializer(token).data, status=201)
        answer["Cache-Control"] = "no-store"
        return answer


class TokenRevokeView(TenantScopedMixin, GenericAPIView[ApiToken]):
    """One of the caller's own keys."""

    query_parameters = ()  # a key belongs to no tenant

    serializer_class = ApiTokenSerializer
    queryset = ApiToken.objects.none()

    def get(self, request: Request, token_id: UUID) -> Response:
        """Show one of your keys."""
        token = get_token(self.caller, token_id)
        return Response(ApiTokenSerializer(token).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revoke one of your keys: it stops working at once and stays in the list."""
        revoke_token(get_token(self.caller, token_id))
        return Response(status=204)
