"""The OpenAPI document of the device endpoints.

``add_shapes`` adds the shapes from the protocol's own structures; operations only refer
to them. If drf-spectacular saw the shapes earlier, it would add each of their
enumerations a second time, named after its field.
"""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from iotplatform.adapters.http.ingest import Ingested
from iotplatform.adapters.http.parse_body import MOST_MESSAGES
from iotplatform.adapters.http.poll_answer import Polled
from iotplatform.common.ids import UID
from iotplatform.common.messages import STRUCTS, Message
from iotplatform.common.waiting import LONGEST_WAIT_SECONDS
from iotplatform.openapi.examples import EXAMPLES
from iotplatform.openapi.schema import PlatformSchema

PREFIX = "Device"  # distinguishes these shapes' names from those of the REST API
SHAPES = "#/components/schemas/"
CHILD = "child/{child}/"  # part of a child's paths
# Keywords of JSON Schema that OpenAPI 3.0 does not know, or that add nothing here.
UNKNOWN = frozenset({"propertyNames", "title"})

ANY = {
    401: "The header is not `Device <uid>:<secret>`, or the secret is not valid.",
    429: "This device has sent too many requests in this minute.",
    503: "The database does not answer: send the request again.",
}
OF_A_MESSAGE = ANY | {
    400: "Some messages are invalid. `errors` names the position and the field of each."
    " The others were accepted; `taken` says how many.",
    409: "The device's lifecycle does not allow it, or the platform cannot process it.",
    413: "A message, or the whole request, is too long.",
}
NOT_THERE = {404: "This device has no such command or child."}
OF_A_POLL = ANY | {
    400: "`wait` or `desired_version` is not a number in its range.",
    409: "This device gets its commands over another adapter.",
}
RETRY_AFTER = "Seconds to wait before the next request."


class DeviceScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``Authorization: Device <uid>:<secret>`` in the schema."""

    target_class = "iotplatform.adapters.http.authentication.DeviceAuthentication"
    name = "device"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Describe the Authorization header."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Device <uid>:<secret>`, a credential of the device.",
        }


class DeviceSchema(PlatformSchema):
    """What all device operations share."""

    def get_tags(self) -> list[str]:
        """Group them apart from the operations for people."""
        return ["device"]

    def get_override_parameters(self) -> list[Any]:
        """Add Retry-After: sent when no more polls may wait, and with 429."""
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
        """Describe the path parameter that names a child."""
        found = super().get_override_parameters()
        if CHILD in self.path:
            found.append(
                OpenApiParameter(
                    "child",
                    {"type": "string", "pattern": f"^{UID.pattern}$"},
                    OpenApiParameter.PATH,
                    description="The `uid` of a child of this gateway.",
                )
            )
        return found

    @property
    def struct(self) -> type[Message]:
        """The protocol's structure for the kind of message that the view accepts."""
        view: Any = self.view
        return STRUCTS[view.kind]

    def get_examples(self) -> list[OpenApiExample]:
        """Return the examples of the kind: a child's message looks the same."""
        own = self.path.replace(CHILD, "")
        return EXAMPLES.get(f"{self.method} {own}", [])

    def get_description(self) -> str:  # type: ignore[override]
        """Describe the kind of message, and who sends it."""
        text = str(self.struct.__doc__).replace("``", "`")
        relayed = " Of a child, relayed by its gateway." if CHILD in self.path else ""
        return f"{text}{relayed} One message, or a list of up to {MOST_MESSAGES}."

    def get_summary(self) -> str | None:
        """Tell a child's message from the device's own."""
        own = super().get_summary()
        return f"Of a child: {own}" if CHILD in self.path else own

    def get_operation(self, *args: Any) -> Any:
        """Mark the request body as required."""
        operation: Any = super().get_operation(*args)
        operation["requestBody"]["required"] = True
        return operation

    def get_request_serializer(self) -> Any:
        """Return the shape of one message, and of a list."""
        one = {"$ref": f"{SHAPES}{PREFIX}{self.struct.__name__}"}
        many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_MESSAGES}
        return {"application/json": {"oneOf": [one, many]}}

    def get_response_serializers(self) -> Any:
        """Return the number of accepted messages, and the refusals."""
        refusals = OF_A_MESSAGE | (NOT_THERE if "{" in self.path else {})
        return _answers(Ingested, refusals)


class PollSchema(DeviceSchema):
    """The poll for commands."""

    def get_override_parameters(self) -> list[Any]:
        """Add the query parameters of a poll."""
        wait = {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS}
        version = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
        return [
            *super().get_override_parameters(),
            OpenApiParameter(
                "wait", wait, description="Seconds to wait until a command is due."
            ),
            OpenApiParameter(
                "desired_version",
                version,
                description="The version of the configuration that the device has. A"
                " newer one is returned, even if it was returned before.",
            ),
        ]

    def get_response_serializers(self) -> Any:
        """Return the shape of a poll's answer, and the refusals."""
        return _answers(Polled, OF_A_POLL)


def add_shapes(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Add the shapes that device operations refer to to the document's components."""
    kinds = [*STRUCTS.values(), Ingested, Polled]
    _, shapes = msgspec.json.schema_components(
        kinds, ref_template=f"{SHAPES}{PREFIX}{{name}}"
    )
    known = result["components"]["schemas"]
    for name, shape in shapes.items():
        if f"{PREFIX}{name}" in known:
            raise ValueError(f"two shapes have the name {PREFIX}{name}")
        known[f"{PREFIX}{name}"] = as_openapi(shape)
    return result


def as_openapi(part: Any) -> Any:
    """Translate a JSON Schema to the keywords of OpenAPI 3.0."""
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
    """Allow null; keywords beside a ``$ref`` would be ignored, hence ``allOf``."""
    return ({"allOf": [shape]} if "$ref" in shape else shape) | {"nullable": True}


def _answers(shape: Any, refusals: dict[int, str]) -> dict[int, Any]:
    answers: dict[int, Any] = {200: {"$ref": f"{SHAPES}{PREFIX}{shape.__name__}"}}
    for status in sorted(refusals):
        answers[status] = OpenApiResponse(description=refusals[status])
    return answers
