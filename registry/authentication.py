"""``Authorization: Token <key>``: how a script authenticates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from registry.permissions import rights_of_scopes
from registry.selectors.tokens import find_token_across_tenants
from registry.services.tokens import record_use
from registry.tenant_scope import enter_scope_of

if TYPE_CHECKING:
    from rest_framework.request import Request

    from registry.models import ApiToken, User

SCHEME = "Token"


class ApiTokenAuthentication(BaseAuthentication):
    """Accepts an API key; its scopes limit its user for the request."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the user and the token; None where another scheme is used."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != SCHEME.lower().encode():
            return None
        if len(words) != 2:
            raise AuthenticationFailed("The header must read: Token <key>.")
        now = timezone.now()
        token = find_token_across_tenants(words[1].decode("latin-1"), now=now)
        if token is None:
            raise AuthenticationFailed("The token is not valid, expired or revoked.")
        record_use(token, now=now)
        user: User = token.user
        user.rights_limit = rights_of_scopes(token.scopes)
        enter_scope_of(user, token_id=token.pk)
        return user, token

    def authenticate_header(self, request: Request) -> str:
        return SCHEME
