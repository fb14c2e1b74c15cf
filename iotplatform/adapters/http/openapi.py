"""What the OpenAPI document says of the doors of devices.

Shapes come from the protocol's own structures, by ``add_shapes``; operations only name
them. drf-spectacular would name their enumerations once more, each after its field,
if it met the shapes any earlier.
"""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from iotplatform.adapters.http.ingest import Taken
from iotplatform.adapters.http.parse_body import MOST_MESSAGES
from iotplatform.adapters.http.poll_answer import (
    LONGEST_WAIT_SECONDS,
    Polled,
)
from iotplatform.common.messages import STRUCTS, UID, Message
from iotplatform.openapi.examples import EXAMPLES
from iotplatform.openapi.schema import PlatformSchema

PREFIX = "Device"  # of the names of shapes, which stand beside those of the REST API
SHAPES = "#/components/schemas/"
CHILD = "child/{child}/"  # of a path
# Keywords of JSON Schema that OpenAPI 3.0 does not know, or that say nothing here.
UNKNOWN = frozenset({"propertyNames", "title"})

ANY = {
    401: "The header does not read `Device <uid>:<secret>`, or it is not valid.",
    429: "Too many requests of this device in this minute.",
    503: "The database is away: send it again.",
}
OF_A_MESSAGE = ANY | {
    400: "Some of it is not of the protocol. `errors` names the place and the field of"
    " each; the others are taken, and `taken` says how many.",
    409: "The device's lifecycle does not allow it, or the platform cannot take it.",
    413: "A message, or all of them together, is too long.",
}
NOT_THERE = {404: "This device has no such command or child."}
OF_A_POLL = ANY | {
    400: "`wait` or `desired_version` is no such number.",
    409: "The commands of this device are sent by another adapter.",
}
RETRY_AFTER = "When to ask again, in seconds."


class DeviceScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``Authorization: Device <uid>:<secret>`` in the schema."""

    target_class = "iotplatform.adapters.http.authentication.DeviceAuthentication"
    name = "device"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Say how the secret travels."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Device <uid>:<secret>`, a credential of the device.",
        }


class DeviceSchema(PlatformSchema):
    """What operations of devices have in common."""

    def get_tags(self) -> list[str]:
        """Keep them apart from those of people."""
        return ["device"]

    def get_override_parameters(self) -> list[Any]:
        """Add the header that both a full house and a hasty device are told."""
        statuses = [200, 429] if self.method == "GET" else [429]
        return [
            OpenApiParameter(
                "Retry-After",
                int,
                OpenApiParameter.HEADER,
                response=statuses,
                description=RETRY_AFTER,
            )
        ]


class MessageSchema(DeviceSchema):
    """One kind of message, or a list of them."""

    def get_override_parameters(self) -> list[Any]:
        """Say what names a child."""
        found = super().get_override_parameters()
        if CHILD in self.path:
            found.append(
                OpenApiParameter(
                    "child",
                    {"type": "string", "pattern": f"^{UID}$"},
                    OpenApiParameter.PATH,
                    description="The `uid` of a child of this gateway.",
                )
            )
        return found

    @property
    def struct(self) -> type[Message]:
        """The protocol's structure of the kind that the view takes."""
        view: Any = self.view
        return STRUCTS[view.kind]

    def get_examples(self) -> list[OpenApiExample]:
        """Return the examples of the kind: a child's message is as any other."""
        own = self.path.replace(CHILD, "")
        return EXAMPLES.get(f"{self.method} {own}", [])

    def get_description(self) -> str:  # type: ignore[override]
        """Say what the kind says, and whose word it is."""
        said = self.struct.__doc__
        whose = " Of a child, relayed by its gateway." if CHILD in self.path else ""
        return f"{said}{whose} One message, or a list of up to {MOST_MESSAGES}."

    def get_operation(self, *args: Any) -> Any:
        """Say that there is no message without a body."""
        operation: Any = super().get_operation(*args)
        operation["requestBody"]["required"] = True
        return operation

    def get_request_serializer(self) -> Any:
        """Return the shape of the kind, alone or in a list."""
        one = {"$ref": f"{SHAPES}{PREFIX}{self.struct.__name__}"}
        many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_MESSAGES}
        return {"application/json": {"oneOf": [one, many]}}

    def get_response_serializers(self) -> Any:
        """Return how many were taken, and the refusals."""
        refusals = OF_A_MESSAGE | (NOT_THERE if "{" in self.path else {})
        return _answers(Taken, refusals)


class PollSchema(DeviceSchema):
    """The poll for commands."""

    def get_override_parameters(self) -> list[Any]:
        """Add what a poll may say."""
        wait = {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS}
        version = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
        return [
            *super().get_override_parameters(),
            OpenApiParameter(
                "wait", wait, description="Seconds to wait for something to do."
            ),
            OpenApiParameter(
                "desired_version",
                version,
                description="The configuration that the device has: a newer one is"
                " handed out, again if need be.",
            ),
        ]

    def get_response_serializers(self) -> Any:
        """Return what a poll hands out, and the refusals."""
        return _answers(Polled, OF_A_POLL)


def add_shapes(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Add the shapes that operations of devices name to the document's components."""
    kinds = [*STRUCTS.values(), Taken, Polled]
    _, shapes = msgspec.json.schema_components(
        kinds, ref_template=f"{SHAPES}{PREFIX}{{name}}"
    )
    known = result["components"]["schemas"]
    for name, shape in shapes.items():
        if f"{PREFIX}{name}" in known:
            raise ValueError(f"two shapes are called {PREFIX}{name}")
        known[f"{PREFIX}{name}"] = as_openapi(shape)
    return result


def as_openapi(part: Any) -> Any:
    """Say a JSON Schema in the words of OpenAPI 3.0."""
    if isinstance(part, list):
        return [as_openapi(item) for item in part]
    if not isinstance(part, dict):
        return part
    found: dict[str, Any] = {}
    for name, item in part.items():
        if name == "properties":
            found[name] = {field: as_openapi(shape) for field, shape in item.items()}
        elif name not in UNKNOWN and (name, item) != ("required", []):
            found[name] = as_openapi(item)
    choices = found.pop("anyOf", [])
    real = [choice for choice in choices if choice != {"type": "null"}]
    if len(real) < len(choices):
        real = [_or_null(choice) for choice in real]
    if len(real) == 1:
        return found | real[0]
    return found | ({"anyOf": real} if real else {})


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    """Allow null; what stands beside a ``$ref`` would not be read."""
    return ({"allOf": [shape]} if "$ref" in shape else shape) | {"nullable": True}


def _answers(shape: Any, refusals: dict[int, str]) -> dict[int, Any]:
    answers: dict[int, Any] = {200: {"$ref": f"{SHAPES}{PREFIX}{shape.__name__}"}}
    for status in sorted(refusals):
        answers[status] = OpenApiResponse(description=refusals[status])
    return answers
