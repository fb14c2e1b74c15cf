"""A device's document, in the form that every backend indexes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

Scalar: TypeAlias = str | float | int | bool


@dataclass(frozen=True)
class FleetDocument:
    """The values of one device by field name.

    A keyword, version or text is a ``str`` (``tags`` a list), a number ``int`` or
    ``float``, a date an aware ``datetime``, a boolean ``bool``; a JSON field maps
    dotted keys to a scalar or a list of scalars. An unknown value is ``None``.
    """

    device_id: int
    tenant_id: int
    values: dict[str, Any]

    def public(self) -> dict[str, Any]:
        """Return the document as the API shows it."""
        return {name: _public(value) for name, value in self.values.items()}

    def encoded(self) -> bytes:
        """Return the public document as JSON; equal documents give equal bytes."""
        return json.dumps(
            self.public(), ensure_ascii=False, separators=(",", ":"), sort_keys=True
        ).encode()


def _public(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return value


def rfc3339(moment: datetime) -> str:
    """Return the time in UTC with milliseconds, the precision of the index."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """Return the milliseconds since the epoch, without rounding by floats."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000
