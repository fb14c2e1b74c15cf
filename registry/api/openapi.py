"""Extensions of the schema: our tokens, and that errors are problem documents."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

METHODS = frozenset({"get", "post", "put", "patch", "delete"})
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Further members give details, such as `allowed`.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
    "required": ["type", "title", "status", "detail", "errors"],
}


class ApiTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``Authorization: Token <key>`` in the schema."""

    target_class = "registry.authentication.ApiTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <key>`; `POST /api/v1/auth/token/` issues one.",
        }


def add_problems(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Add to every operation that its other answers are problem documents."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    content = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    for path in result.get("paths", {}).values():
        for method in METHODS & path.keys():
            answers = path[method]["responses"]
            answers["default"] = {"description": "Any refusal.", "content": content}
            for status, answer in answers.items():
                if status[:1] in ("4", "5"):
                    answer["content"] = content
    return result
