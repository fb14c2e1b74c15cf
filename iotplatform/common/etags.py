"""ETag and If-Match: a change is made to the version that its author saw."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

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


class VersionedView(APIView):
    """A view whose answers about one object carry its ETag, and whose changes heed it.

    The version is a digest of what is shown: it moves with whatever a caller can see.
    """

    # Shown fields that move without anyone's change, so that they outdate nobody.
    moving_fields: frozenset[str] = frozenset()

    def versioned(self, shown: Mapping[str, Any], status: int = 200) -> Response:
        """Answer with an object as it is now, and its version."""
        headers = {"ETag": quoted(self._digest(shown))}
        return Response(shown, status=status, headers=headers)

    def refuse_outdated(self, shown: Mapping[str, Any]) -> None:
        """Refuse with 412 a change to another version than the one shown now."""
        check_if_match(self.request.headers, self._digest(shown))

    def _digest(self, shown: Mapping[str, Any]) -> str:
        lasting = {k: v for k, v in shown.items() if k not in self.moving_fields}
        text = json.dumps(lasting, cls=JSONEncoder, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:32]
