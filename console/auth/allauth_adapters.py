"""allauth's adapters: who may sign in, and how second factors are kept."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthError, AuthProcess
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import redirect, render
from requests import RequestException

from console.auth import openid_connect
from iotplatform.common.encryption import cipher_for
from registry.exceptions import SignInRefused
from registry.selectors.second_factors import needs_second_factor
from registry.services.connections import connect_by_address

logger = logging.getLogger(__name__)

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's account adapter, without a sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def login(self, request: HttpRequest, user: Any) -> None:
        """Sign in; without a password the user gets the model backend too."""
        user.backend = getattr(user, "backend", MODEL_BACKEND)
        super().login(request, user)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count no failed sign-ins here: django-axes counts them at every entry point.

        It never locks a name alone. allauth's own limit stays for the codes of the
        second factor.
        """


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Signs in people from the identity provider, or tells them why not."""

    def list_apps(
        self, request: HttpRequest, provider: Any = None, client_id: Any = None
    ) -> list[Any]:
        """Return the provider of the settings, if any; never one of the database."""
        return [openid_connect.make_app()] if openid_connect.is_switched_on() else []

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Return False: ``pre_social_login`` decides about unknown people."""
        return False

    def authenticate_by_email(self, sociallogin: Any) -> None:
        """Match nobody: allauth's own match would delete the password of the user."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Find the user of an account on its first sign-in, or refuse it."""
        sociallogin.token = None  # it served to identify the person, and is not kept
        is_connecting = sociallogin.state.get("process") == AuthProcess.CONNECT
        if is_connecting or sociallogin.is_existing:
            return
        claims, unsaved = sociallogin.account.extra_data, sociallogin.user
        try:
            sociallogin.user = connect_by_address(
                sociallogin.account,
                email=unsaved.email,
                is_verified=claims.get("email_verified") is True,
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
        """Tell the person roughly what went wrong, and the log exactly."""
        if error == AuthError.CANCELLED:
            messages.info(request, f"You did not sign in with {provider.name}.")
            raise ImmediateHttpResponse(redirect("account_login"))
        if isinstance(exception, RequestException):
            # Not the message of the exception: it may hold the request, with secrets.
            logger.error("single sign-on: no answer: %s", type(exception).__name__)
            self._answer(request, "away", 503)
        if exception is None and "state" not in (extra_context or {}):
            self._answer(request, "stale", 400)
        reason = exception or f"provider error {request.GET.get('error', '')[:80]!r}"
        logger.error("single sign-on: not believed: %s", reason)
        self._answer(request, "not_believed", 403)

    def _answer(
        self, request: HttpRequest, what: str, status: int, **more: str
    ) -> NoReturn:
        context = {"what": what, "name": settings.OIDC_NAME, **more}
        template = "socialaccount/failed.html"
        answer = render(request, template, context, status=status)
        raise ImmediateHttpResponse(answer)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Encrypts the secrets of second factors, so that a database copy is no use."""

    def encrypt(self, text: str) -> str:
        """Encrypt a secret with a key derived from SECRET_KEY."""
        return cipher_for("second factors").encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return cipher_for("second factors").decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """Return False for people who must have a second factor."""
        return not needs_second_factor(authenticator.user)
