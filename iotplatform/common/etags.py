"""ETag and If-Match: a change is made to the version that its author saw."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models, transaction
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from iotplatform.common.problems import BadInput, NotFound, PreconditionFailed

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


def lock_row(row: models.Model) -> None:
    """Lock a row against changes until the transaction ends."""
    rows = type(row)._base_manager.filter(pk=row.pk)
    list(rows.select_for_update(no_key=True).values_list("pk"))


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

    @contextmanager
    def as_seen(
        self,
        row: models.Model,
        shown: Callable[[], Mapping[str, Any]],
        *,
        lock: Callable[[], object] | None = None,
    ) -> Iterator[None]:
        """Change a row inside of this; 412 where its author saw another version.

        ``shown`` reads the row anew and returns it as a caller sees it: under the row's
        lock, in the transaction of the change, so that of two who saw the same version
        one is refused. ``lock`` takes the row's lock where the change takes others
        before it. Without ``If-Match`` there is nothing to hold. A row that another
        caller deleted meanwhile is a 404.
        """
        try:
            if if_match(self.request.headers) is None:
                yield
                return
            with transaction.atomic():
                if lock is None:
                    lock_row(row)
                else:
                    lock()
                check_if_match(self.request.headers, self._digest(shown()))
                yield
        except ObjectDoesNotExist as error:
            raise NotFound("It has just been deleted.") from error

    def _digest(self, shown: Mapping[str, Any]) -> str:
        lasting = {k: v for k, v in shown.items() if k not in self.moving_fields}
        text = json.dumps(lasting, cls=JSONEncoder, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:32]
