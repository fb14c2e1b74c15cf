"""REST: a token for a name and a password."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth import authenticate
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.problems import BadInput, Forbidden
from iotplatform.common.query_parameters import KnownParametersView
from registry.api.serializers.devices import (
    SignInSerializer,
    TokenSerializer,
)
from registry.choices import TokenScope
from registry.models import User
from registry.selectors.second_factors import has_second_factor
from registry.services.tokens import create_token

LIFETIME = timedelta(days=30)
WRONG = "The name or the password is wrong."
SECOND_FACTOR = "This account has a second factor. Make a key in the console instead."


class TokenView(KnownParametersView, GenericAPIView[User]):
    """Signs a script in."""

    authentication_classes = []
    permission_classes = [AllowAny]
    serializer_class = SignInSerializer

    @extend_schema(responses={200: TokenSerializer}, auth=[])
    def post(self, request: Request) -> Response:
        """Return a key with all rights of its user, valid for 30 days.

        400: the name or password is wrong. 429: after repeated failures the name is
        locked for a while, as on the sign-in page.
        """
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        # Django's own request: the lock-out sets an attribute for its middleware there.
        user = authenticate(request._request, **given.validated_data)
        if not isinstance(user, User):
            raise BadInput(WRONG, errors=[{"field": "", "message": WRONG}])
        if has_second_factor(user):
            raise Forbidden(SECOND_FACTOR)
        now = timezone.now()
        token, key = create_token(
            user=user,
            name=f"signed in {now:%Y-%m-%d %H:%M} UTC",
            scopes=TokenScope.values,
            expires_at=now + LIFETIME,
        )
        answer = {"token": key, "expires_at": token.expires_at}
        return Response(TokenSerializer(answer).data)
