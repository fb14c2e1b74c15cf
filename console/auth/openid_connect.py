"""OpenID Connect: what we ask of the identity provider, and what we believe of it.

allauth goes through the code flow with PKCE and a state kept in the session. Beyond it,
an ID token is checked here: signature, issuer, audience, times and the nonce.
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

PROVIDER_ID = "oidc"  # of the one that the settings name
WELL_KNOWN = "/.well-known/openid-configuration"
# Asymmetric ones alone: a signature that only the provider can make.
ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
]
LEEWAY_SECONDS = 60  # two clocks
NEEDED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
ABOUT_ADDRESS = ("email", "email_verified")
ABOUT_PERSON = ("preferred_username", "name", "given_name", "family_name")
BROKEN = (KeyError, ValueError, TypeError, AttributeError)  # an answer of another form


def is_switched_on() -> bool:
    """Whether the settings name an identity provider, and us to it."""
    return bool(
        settings.OIDC_SERVER_URL
        and settings.OIDC_CLIENT_ID
        and settings.OIDC_CLIENT_SECRET
    )


def make_app() -> SocialApp:
    """Return what allauth wants to know of the provider; no row of the database."""
    return SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=PROVIDER_ID,
        name=settings.OIDC_NAME,
        client_id=settings.OIDC_CLIENT_ID,
        secret=settings.OIDC_CLIENT_SECRET,
        settings={"server_url": settings.OIDC_SERVER_URL, "oauth_pkce_enabled": True},
    )


def nonce_of(code_verifier: str) -> str:
    """Return the nonce of a sign-in: who has not its secret cannot tell it."""
    return hashlib.sha256(f"nonce:{code_verifier}".encode()).hexdigest()


class SignInAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in: asks the provider, and checks what it answers."""

    _nonce = ""

    @property
    def openid_config(self) -> Any:
        """What the provider says of itself, once asked; of the issuer that we know."""
        if not hasattr(self, "_openid_config"):
            try:
                found = super().openid_config
                issuer = str(found["issuer"])
                found["authorization_endpoint"], found["token_endpoint"]
                found["jwks_uri"]
            except RequestException:
                raise
            except BROKEN as error:
                self.__dict__.pop("_openid_config", None)
                raise OAuth2Error("the discovery document is malformed") from error
            if issuer.rstrip("/") != _issuer_expected():
                del self._openid_config
                raise OAuth2Error("the discovery document is of another issuer")
        return self._openid_config

    @property
    def basic_auth(self) -> bool:
        """Whether the secret goes into a header: the standard's way if none is said."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported")
        return "client_secret_post" not in (methods or [])

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return where the provider sends people back to."""
        return str(build_absolute_uri(request, reverse("openid_connect_callback")))

    def get_access_token_data(
        self,
        request: HttpRequest,
        app: SocialApp,
        client: Any,
        pkce_code_verifier: str | None = None,
    ) -> Any:
        """Change the code for tokens; remember which nonce they must bear."""
        if not pkce_code_verifier:
            raise OAuth2Error("the sign-in was begun without PKCE")
        self._nonce = nonce_of(pkce_code_verifier)
        try:
            return super().get_access_token_data(
                request, app, client, pkce_code_verifier
            )
        except RequestException:
            raise
        except BROKEN as error:
            raise OAuth2Error("the token endpoint's answer is malformed") from error
        except OAuth2Error as error:
            # Its own words repeat the answer, which may hold tokens.
            raise OAuth2Error("the token endpoint gave no token") from error

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any
    ) -> Any:
        """Return who it is; raises OAuth2Error for what cannot be believed."""
        try:
            claims = self._check_token(app, str(kwargs["response"]["id_token"]))
            if endpoint := self.openid_config.get("userinfo_endpoint"):
                told = self._ask_about(str(endpoint), token.token)
                if told.get("sub") != claims["sub"]:
                    raise OAuth2Error("the userinfo is of somebody else")
            else:
                told = {}
            known = merge_claims(claims, told)
            return self.get_provider().sociallogin_from_response(request, known)
        except RequestException:
            raise
        except BROKEN as error:
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
                options={"require": NEEDED},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"the ID token is refused: {error}") from error
        if found["nonce"] != self._nonce:
            raise OAuth2Error("the ID token bears another nonce")
        if found.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("the ID token was made for another party")
        return found

    def _key_of(self, token: str) -> jwt.PyJWK:
        """Find the key that signed; a provider with one need not name it."""
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

    def _ask_about(self, endpoint: str, token: str) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            answer = session.get(endpoint, headers={"Authorization": f"Bearer {token}"})
            answer.raise_for_status()
        return dict(answer.json())


def merge_claims(claims: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what we keep: who says it of whom, and the address with its proof."""
    found: dict[str, Any] = {"iss": claims["iss"], "sub": claims["sub"]}
    # An address and whether it is verified are taken from one place.
    source = told if told.get("email") else claims
    found |= {name: source[name] for name in ABOUT_ADDRESS if name in source}
    both = {**claims, **told}
    return found | {name: str(both[name]) for name in ABOUT_PERSON if both.get(name)}


def _issuer_expected() -> str:
    return str(settings.OIDC_SERVER_URL).partition(WELL_KNOWN)[0].rstrip("/")


class SignInProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """The provider of the settings."""

    oauth2_adapter_class = SignInAdapter

    def get_login_url(self, request: HttpRequest, **kwargs: Any) -> str:
        """Return where a sign-in begins."""
        query = "?" + urlencode(kwargs) if kwargs else ""
        return reverse("openid_connect_login") + query

    def get_callback_url(self) -> str:
        """Return where it comes back to."""
        return reverse("openid_connect_callback")

    def get_pkce_params(self) -> dict[str, str]:
        """Add the nonce, which hangs on the same secret, to what is sent."""
        params = super().get_pkce_params()
        return {**params, "nonce": nonce_of(params["code_verifier"])}

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        """Take from a request only where it goes on: no scope, no other parameter."""
        connects = get_request_param(request, "process") == AuthProcess.CONNECT
        return {
            "process": AuthProcess.CONNECT if connects else AuthProcess.LOGIN,
            "next_url": get_next_redirect_url(request),
        }

    def redirect(
        self, request: HttpRequest, process: str, **kwargs: Any
    ) -> HttpResponse:
        """Show a page that leads to the provider.

        A redirect would be one of the form that was sent, and our policy lets forms go
        nowhere else, wherever the provider may send them on to.
        """
        answer: HttpResponse = super().redirect(request, process, **kwargs)
        if not isinstance(answer, HttpResponseRedirect):
            return answer
        context = {"provider": self, "url": answer.url}
        return render(request, "socialaccount/leaving.html", context)

    def extract_uid(self, data: Mapping[str, Any]) -> str:
        """Return an account's name: another issuer's `sub` is somebody else."""
        return hashlib.sha256(f"{data['iss']}\n{data['sub']}".encode()).hexdigest()


@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """Ask before anybody is sent away (GET), and send them (POST)."""
    return _served(request, OAuth2LoginView)


@never_cache
def finish(request: HttpRequest) -> HttpResponse:
    """Take who comes back from the provider."""
    return _served(request, OAuth2CallbackView)


def manage(request: HttpRequest) -> HttpResponse:
    """Show a person's connected accounts, to connect one and to remove one."""
    if not is_switched_on():
        raise Http404
    answer: HttpResponse = connections(request)
    return answer


def _served(request: HttpRequest, view: Any) -> HttpResponse:
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
