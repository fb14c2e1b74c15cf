"""``Authorization: Token <key>``: who a script is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from registry.permissions import rights_of_scopes
from registry.selectors.tokens import find_token_across_tenants
from registry.services.tokens import note_use
from registry.tenant_scope import let_in

if TYPE_CHECKING:
    from rest_framework.request import Request

    from registry.models import ApiToken, User

SCHEME = "Token"


class ApiTokenAuthentication(BaseAuthentication):
    """Takes a key of ours; its scopes bind its user for the request."""

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
        note_use(token, now=now)
        user: User = token.user
        user.rights_limit = rights_of_scopes(token.scopes)
        let_in(user, token_id=token.pk)
        return user, token

    def authenticate_header(self, request: Request) -> str:
        """Say in a 401 what we take."""
        return SCHEME
