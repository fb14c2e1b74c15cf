"""What is wrong with a message, field by field, in words for the people who send it.

Fields are named by their path with dots: ``metrics.temperature``, ``history.2.ts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct, ValidationError

from iotplatform.common.storable import storable

MAX_DETAIL = 500
MAX_MESSAGE = 200  # of one fault: msgspec quotes the value
MORE = len("; and 99999 more")
decode_raws = msgspec.json.Decoder(dict[str, Raw]).decode


class Fault(NamedTuple):
    """A field that is wrong, and why; ``message`` for the message as a whole."""

    field: str
    message: str


def decode_fields(
    struct: type[Struct], data: bytes | Raw, *, within: str = ""
) -> tuple[dict[str, Any], list[Fault]]:
    """Decode each field by itself; return the usable values and every fault.

    Raises ValidationError if the data is no object.
    """
    raws = decode_raws(data)
    values: dict[str, Any] = {}
    faults = []
    for field in msgspec.structs.fields(struct):
        raw = raws.get(field.encode_name)
        if raw is None:
            if field.required:
                faults.append(Fault(f"{within}{field.encode_name}", "missing"))
            continue
        try:
            values[field.name] = _decoder(field.type).decode(raw)
        except ValidationError as error:
            faults.append(fault_of(error, f"{within}{field.encode_name}"))
    return values, faults


def fault_of(error: ValidationError, field: str) -> Fault:
    """Return msgspec's error about one field or value in our words."""
    what, _, place = str(error).partition(" - at `")
    inner = place.rstrip("`").removeprefix("key in `").removeprefix("$")
    if inner.startswith("."):
        field += inner.replace("[...]", "")
    message = f"{what[:1].lower()}{what[1:]}"
    return Fault(storable(field), storable(message[:MAX_MESSAGE])[:MAX_MESSAGE])


def as_text(faults: Sequence[Fault]) -> str:
    """Return the faults as one text, at most as long as a detail may be."""
    text = ""
    for position, fault in enumerate(faults):
        name = f"{fault.field}: {fault.message}"
        room = MAX_DETAIL - MORE - len(text)
        if position and len(name) + 2 > room:
            return f"{text}; and {len(faults) - position} more"
        text = f"{text}; {name}" if text else name[:room]
    return text


@cache  # the types of the protocol are few
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
