"""OpenID Connect: requests to the identity provider, and checks of its answers.

allauth runs the code flow, with PKCE and a state kept in the session. This module also
checks the ID token: signature, issuer, audience, times and nonce.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import jwt
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import (
    OAuth2CallbackView,
    OAuth2LoginView,
)
from allauth.socialaccount.providers.openid_connect.provider import (
    OpenIDConnectProvider,
)
from allauth.socialaccount.providers.openid_connect.views import (
    OpenIDConnectOAuth2Adapter,
)
from allauth.socialaccount.views import connections
from allauth.utils import build_absolute_uri, get_request_param
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from requests import RequestException

PROVIDER_ID = "oidc"  # the only provider: the one of the settings
WELL_KNOWN = "/.well-known/openid-configuration"
# Asymmetric algorithms only: then nobody but the provider can sign.
ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
]
LEEWAY_SECONDS = 60  # the two clocks may differ
REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat", "nonce"]
ADDRESS_CLAIMS = ("email", "email_verified")
PERSON_CLAIMS = ("preferred_username", "name", "given_name", "family_name")
# What reading an answer of an unexpected shape raises.
MALFORMED = (KeyError, ValueError, TypeError, AttributeError)


def is_switched_on() -> bool:
    """Whether the settings name an identity provider and our client id there."""
    return bool(
        settings.OIDC_SERVER_URL
        and settings.OIDC_CLIENT_ID
        and settings.OIDC_CLIENT_SECRET
    )


def make_app() -> SocialApp:
    """Return the provider for allauth, unsaved: it has no row in the database."""
    return SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=PROVIDER_ID,
        name=settings.OIDC_NAME,
        client_id=settings.OIDC_CLIENT_ID,
        secret=settings.OIDC_CLIENT_SECRET,
        settings={"server_url": settings.OIDC_SERVER_URL, "oauth_pkce_enabled": True},
    )


def nonce_of(code_verifier: str) -> str:
    """Derive a sign-in's nonce from its PKCE secret, so that nobody can guess it."""
    return hashlib.sha256(f"nonce:{code_verifier}".encode()).hexdigest()


class SignInAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in: asks the provider, and checks its answers."""

    _nonce = ""

    @property
    def openid_config(self) -> Any:
        """The provider's discovery document; OAuth2Error if the issuer is not ours."""
        if not hasattr(self, "_openid_config"):
            try:
                found = super().openid_config
                issuer = str(found["issuer"])
                found["authorization_endpoint"], found["token_endpoint"]
                found["jwks_uri"]
            except RequestException:
                raise
            except MALFORMED as error:
                self.__dict__.pop("_openid_config", None)
                raise OAuth2Error("the discovery document is malformed") from error
            if issuer.rstrip("/") != _issuer_expected():
                del self._openid_config
                raise OAuth2Error("the discovery document names another issuer")
        return self._openid_config

    @property
    def basic_auth(self) -> bool:
        """Whether the secret is sent in a header, which is the standard's default."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported")
        return "client_secret_post" not in (methods or [])

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return the address to which the provider sends people back."""
        return str(build_absolute_uri(request, reverse("openid_connect_callback")))

    def get_access_token_data(
        self,
        request: HttpRequest,
        app: SocialApp,
        client: Any,
        pkce_code_verifier: str | None = None,
    ) -> Any:
        """Exchange the code for tokens; remember the nonce that they must have."""
        if not pkce_code_verifier:
            raise OAuth2Error("the sign-in began without PKCE")
        self._nonce = nonce_of(pkce_code_verifier)
        try:
            return super().get_access_token_data(
                request, app, client, pkce_code_verifier
            )
        except RequestException:
            raise
        except MALFORMED as error:
            raise OAuth2Error("the token endpoint's answer is malformed") from error
        except OAuth2Error as error:
            # The error's own text repeats the answer, which may hold tokens.
            raise OAuth2Error("the token endpoint gave no token") from error

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any
    ) -> Any:
        """Return the checked sign-in; raises OAuth2Error if a check fails."""
        try:
            claims = self._check_token(app, str(kwargs["response"]["id_token"]))
            if endpoint := self.openid_config.get("userinfo_endpoint"):
                userinfo = self._fetch_userinfo(str(endpoint), token.token)
                if userinfo.get("sub") != claims["sub"]:
                    raise OAuth2Error("the userinfo is of somebody else")
            else:
                userinfo = {}
            merged = merge_claims(claims, userinfo)
            return self.get_provider().sociallogin_from_response(request, merged)
        except RequestException:
            raise
        except MALFORMED as error:
            raise OAuth2Error("the provider's answer is malformed") from error

    def _check_token(self, app: SocialApp, token: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                self._key_of(token),
                algorithms=ALGORITHMS,
                audience=app.client_id,
                issuer=self.openid_config["issuer"],
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"the ID token is invalid: {error}") from error
        if found["nonce"] != self._nonce:
            raise OAuth2Error("the ID token has another nonce")
        if found.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("the ID token was issued to another client")
        return found

    def _key_of(self, token: str) -> jwt.PyJWK:
        """Find the signing key; a provider with only one key need not name it."""
        name = jwt.get_unverified_header(token).get("kid")
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        keys = [
            key
            for key in jwt.PyJWKSet.from_dict(answer.json()).keys
            if key.public_key_use in (None, "sig")
        ]
        found = [key for key in keys if name is None or key.key_id == name]
        if len(found) != 1:
            raise OAuth2Error("the ID token is signed with an unknown key")
        return found[0]

    def _fetch_userinfo(self, endpoint: str, token: str) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            answer = session.get(endpoint, headers={"Authorization": f"Bearer {token}"})
            answer.raise_for_status()
        return dict(answer.json())


def merge_claims(
    claims: Mapping[str, Any], userinfo: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is kept: issuer, subject, names, address, and if it is verified."""
    found: dict[str, Any] = {"iss": claims["iss"], "sub": claims["sub"]}
    # The address and the proof that it is verified come from the same source.
    source = userinfo if userinfo.get("email") else claims
    found |= {name: source[name] for name in ADDRESS_CLAIMS if name in source}
    both = {**claims, **userinfo}
    return found | {name: str(both[name]) for name in PERSON_CLAIMS if both.get(name)}


def _issuer_expected() -> str:
    return str(settings.OIDC_SERVER_URL).partition(WELL_KNOWN)[0].rstrip("/")


class SignInProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """The provider of the settings."""

    oauth2_adapter_class = SignInAdapter

    def get_login_url(self, request: HttpRequest, **kwargs: Any) -> str:
        query = "?" + urlencode(kwargs) if kwargs else ""
        return reverse("openid_connect_login") + query

    def get_callback_url(self) -> str:
        return reverse("openid_connect_callback")

    def get_pkce_params(self) -> dict[str, str]:
        """Add the nonce, which is derived from the same secret."""
        params = super().get_pkce_params()
        return {**params, "nonce": nonce_of(params["code_verifier"])}

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        """Read only the next page from the request: no scope, no other parameter."""
        is_connecting = get_request_param(request, "process") == AuthProcess.CONNECT
        return {
            "process": AuthProcess.CONNECT if is_connecting else AuthProcess.LOGIN,
            "next_url": get_next_redirect_url(request),
        }

    def redirect(
        self, request: HttpRequest, process: str, **kwargs: Any
    ) -> HttpResponse:
        """Show a page that forwards to the provider.

        A redirect would answer the form that was sent, and our content security policy
        forbids forms to lead to another site (form-action).
        """
        answer: HttpResponse = super().redirect(request, process, **kwargs)
        if not isinstance(answer, HttpResponseRedirect):
            return answer
        context = {"provider": self, "url": answer.url}
        return render(request, "socialaccount/leaving.html", context)

    def extract_uid(self, data: Mapping[str, Any]) -> str:
        """Identify an account by issuer and `sub`, which is unique per issuer only."""
        return hashlib.sha256(f"{data['iss']}\n{data['sub']}".encode()).hexdigest()


@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """Ask first (GET), then forward to the provider (POST)."""
    return _serve(request, OAuth2LoginView)


@never_cache
def finish(request: HttpRequest) -> HttpResponse:
    """Handle the return from the provider."""
    return _serve(request, OAuth2CallbackView)


def manage(request: HttpRequest) -> HttpResponse:
    """Show the connected accounts of a person, to connect or remove one."""
    if not is_switched_on():
        raise Http404
    answer: HttpResponse = connections(request)
    return answer


def _serve(request: HttpRequest, view: Any) -> HttpResponse:
    if not is_switched_on():
        raise Http404
    adapter = SignInAdapter(request, PROVIDER_ID)
    answer: HttpResponse
    try:
        answer = view.adapter_view(adapter)(request)
    except (OAuth2Error, RequestException) as error:
        provider = adapter.get_provider()
        answer = render_authentication_error(request, provider, exception=error)
    return answer
