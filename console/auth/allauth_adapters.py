"""Sign-in: whom allauth lets in, by password or provider, and second factors."""

from __future__ import annotations

import base64
import hashlib
import logging
from typing import Any, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthError, AuthProcess
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import redirect, render
from requests import RequestException

from console.auth import openid_connect
from registry.exceptions import SignInRefused
from registry.selectors.second_factors import must_have_one
from registry.services.connections import connect_by_address

logger = logging.getLogger(__name__)

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's account adapter, with the door for strangers shut."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        return False

    def login(self, request: HttpRequest, user: Any) -> None:
        """Sign in; who came without a password has the backend of those with one."""
        user.backend = getattr(user, "backend", MODEL_BACKEND)
        super().login(request, user)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count nothing: django-axes does, on every door; a name is never locked alone.

        allauth's own limit stays for the codes of the second factor.
        """


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who comes from the identity provider, and what they are told if they may not."""

    def list_apps(
        self, request: HttpRequest, provider: Any = None, client_id: Any = None
    ) -> list[Any]:
        """Return the provider of the settings, if any; those of the database never."""
        return [openid_connect.make_app()] if openid_connect.is_switched_on() else []

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Strangers are decided about in ``pre_social_login``."""
        return False

    def authenticate_by_email(self, sociallogin: Any) -> None:
        """Nobody: allauth's way would throw away the password of whom it finds."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Find the person of an account that comes for the first time, or refuse it."""
        sociallogin.token = None  # it has told who this is, and is not kept
        connects = sociallogin.state.get("process") == AuthProcess.CONNECT
        if connects or sociallogin.is_existing:
            return
        told, unsaved = sociallogin.account.extra_data, sociallogin.user
        try:
            sociallogin.user = connect_by_address(
                sociallogin.account,
                email=unsaved.email,
                is_verified=told.get("email_verified") is True,
                may_sign_up=settings.OIDC_SIGN_UP,
                first_name=unsaved.first_name,
                last_name=unsaved.last_name,
            )
        except SignInRefused as refusal:
            logger.warning("single sign-on: refused: %s", refusal.detail)
            self._answer(request, "refused", 403, reason=refusal.detail)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Say what went wrong: roughly to the person, exactly to the log."""
        if error == AuthError.CANCELLED:
            messages.info(request, f"You did not sign in with {provider.name}.")
            raise ImmediateHttpResponse(redirect("account_login"))
        if isinstance(exception, RequestException):
            # Not its words, which may hold what was asked.
            logger.error("single sign-on: no answer: %s", type(exception).__name__)
            self._answer(request, "away", 503)
        if exception is None and "state" not in (extra_context or {}):
            self._answer(request, "stale", 400)
        said = exception or f"the provider says {request.GET.get('error', '')[:80]!r}"
        logger.error("single sign-on: not believed: %s", said)
        self._answer(request, "not_believed", 403)

    def _answer(
        self, request: HttpRequest, what: str, status: int, **more: str
    ) -> NoReturn:
        context = {"what": what, "name": settings.OIDC_NAME, **more}
        template = "socialaccount/failed.html"
        answer = render(request, template, context, status=status)
        raise ImmediateHttpResponse(answer)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's second factors, whose secrets a copy of the database does not tell."""

    def encrypt(self, text: str) -> str:
        """Hide a secret with a key made of SECRET_KEY."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Tell a hidden secret."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """Who must have a second factor does not take it off."""
        return not must_have_one(authenticator.user)


def _cipher() -> Fernet:
    digest = hashlib.sha256(f"second factors:{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
