"""ETag and If-Match: a change is made to the version that its author saw."""

from __future__ import annotations

import re
from collections.abc import Mapping

from iotplatform.common.problems import BadInput, PreconditionFailed

_ONE_TAG = re.compile(r'(?:W/)?"(?P<quoted>[^"]*)"|(?P<bare>[A-Za-z0-9._:+-]+)')


def quoted(version: object) -> str:
    """Return a version as an entity tag."""
    return f'"{version}"'


def if_match(headers: Mapping[str, str]) -> str | None:
    """Return the version that the caller saw; None where they do not say.

    ``"7"`` and a bare ``7`` are the same; ``*`` is any version. Raises BadInput.
    """
    value = headers.get("If-Match", "").strip()
    if value in ("", "*"):
        return None
    found = _ONE_TAG.fullmatch(value)
    if found is None:
        raise BadInput(
            errors=[{"field": "If-Match", "message": 'Must be one version, as in "7".'}]
        )
    return found["quoted"] if found["quoted"] is not None else found["bare"]


def check_if_match(headers: Mapping[str, str], current: object) -> None:
    """Refuse with 412 where the caller saw another version than the current one."""
    seen = if_match(headers)
    if seen is not None and seen != str(current):
        raise PreconditionFailed(
            f"It has changed since: you saw version {seen}, and it is {current} now."
        )
