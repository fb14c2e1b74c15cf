"""A small OpenID Connect provider: ``python -m tests.identity_provider PORT``.

Authlib's server on Flask. ``POST /control`` sets who is signed in there, and which
fault the provider has from now on.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.core.userinfo import UserInfoEndpoint
from flask import Flask, Response, abort, jsonify, request
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "iotplatform", "a-secret-of-the-provider-0123456789"
KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
# It has the same key id, but is not in the published keys.
FORGED = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
SHARED = OctKey.import_key(CLIENT_SECRET, {"kid": "first"})
STRANGER = {"sub": "nobody"}
now = SimpleNamespace(person=dict(STRANGER), fault="", codes={}, tokens={})


class Client:
    """The platform, as a client of the provider."""

    client_id = CLIENT_ID
    client_metadata: dict[str, Any] = {}

    @property
    def id_token_signed_response_alg(self) -> str:
        return {"shared_key": "HS256", "unsigned": "none"}.get(now.fault, "RS256")

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        return uri.endswith("/accounts/oidc/callback/")

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


class Code(SimpleNamespace):
    """The authorization code of one sign-in."""

    def get_redirect_uri(self) -> str:
        return str(self.redirect_uri)

    def get_scope(self) -> str:
        return str(self.scope)

    def get_nonce(self) -> str:
        return "of-another-sign-in" if now.fault == "nonce" else str(self.nonce)

    def get_auth_time(self) -> int:
        return int(self.auth_time)

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Token(SimpleNamespace):
    """An access token, for the userinfo endpoint."""

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return False

    def get_scope(self) -> str:
        return str(self.scope)

    def get_client(self) -> Client:
        return Client()

    def get_user(self) -> Any:
        return self.user


class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

    def save_authorization_code(self, code: str, given: Any) -> None:
        data = given.payload.data
        now.codes[code] = Code(
            code=code,
            redirect_uri=data["redirect_uri"],
            scope=data["scope"],
            nonce=data.get("nonce"),
            auth_time=int(time.time()),
            user=given.user,
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = now.codes.get(code)
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del now.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> Any:
        return authorization_code.user


def about(user: Any) -> UserInfo:
    return UserInfo(user.claims)


class IdToken(OpenIDCode):  # type: ignore[misc]
    def exists_nonce(self, nonce: str, given: Any) -> bool:
        return any(code.nonce == nonce for code in now.codes.values())

    def generate_user_info(self, user: Any, scope: str) -> UserInfo:
        return about(user)

    def resolve_client_private_key(self, client: Client) -> Any:
        return {"forged_key": FORGED, "shared_key": SHARED}.get(now.fault, KEY)

    def get_encode_header(self, client: Client) -> dict[str, str]:
        kid = "other" if now.fault == "unknown_key" else "first"
        return {"alg": client.id_token_signed_response_alg, "kid": kid}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        claims: dict[str, Any] = {"iss": issuer(), "aud": [CLIENT_ID]}
        if now.fault == "issuer":
            claims["iss"] = "https://elsewhere.example"
        if now.fault == "audience":
            claims["aud"] = ["another-party"]
        if now.fault == "expired":
            claims |= {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
        return claims


class Tokens(BearerTokenValidator):  # type: ignore[misc]
    def authenticate_token(self, token_string: str) -> Token | None:
        found: Token | None = now.tokens.get(token_string)
        return found


class AboutPerson(UserInfoEndpoint):  # type: ignore[misc]
    def generate_user_info(self, user: Any, scope: str) -> UserInfo:
        found = about(user)
        if now.fault == "userinfo_of_another":
            found["sub"] = "somebody-else"
        return found


def issuer() -> str:
    return request.host_url.rstrip("/")


def remember(token: dict[str, Any], given: Any) -> None:
    now.tokens[token["access_token"]] = Token(user=given.user, **token)


app = Flask(__name__)
server = AuthorizationServer(app, lambda client_id: Client(), remember)
server.register_grant(
    Grant, [IdToken(require_nonce=True), CodeChallenge(required=True)]
)
protector = ResourceProtector()
protector.register_token_validator(Tokens())
server.register_endpoint(AboutPerson(resource_protector=protector))


@app.get("/.well-known/openid-configuration")
def discovery() -> Response:
    own = issuer()
    return jsonify(
        {
            "issuer": "https://elsewhere.example" if now.fault == "discovery" else own,
            "authorization_endpoint": f"{own}/authorize",
            "token_endpoint": f"{own}/token",
            "userinfo_endpoint": f"{own}/userinfo",
            "jwks_uri": f"{own}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
    )


@app.get("/keys")
def keys() -> Response:
    return jsonify({"keys": [KEY.as_dict(private=False)]})


@app.get("/authorize")
def authorize() -> Response:
    """The user already has a session here, and is redirected back at once."""
    user = None if now.fault == "denied" else SimpleNamespace(claims=dict(now.person))
    grant = server.get_consent_grant(end_user=user)
    answer: Response = server.create_authorization_response(
        grant_user=user, grant=grant
    )
    return answer


@app.post("/token")
def token() -> Response:
    if now.fault == "broken":
        abort(500)
    answer: Response = server.create_token_response()
    return answer


@app.get("/userinfo")
def userinfo() -> Response:
    answer: Response = server.create_endpoint_response("userinfo")
    return answer


@app.post("/control")
def control() -> Response:
    body = request.get_json()
    now.person, now.fault = body["person"], body.get("fault", "")
    return jsonify({})


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), threaded=True)
