"""ETag and If-Match: apply a change only to the version that its author saw."""

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
    """Return the version that the caller saw; None without ``If-Match``.

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
    """Raise PreconditionFailed (412) if the caller saw another version."""
    seen = if_match(headers)
    if seen is not None and seen != str(current):
        raise PreconditionFailed(
            f"It has changed: you saw version {seen}, the current version is {current}."
        )


def lock_row(row: models.Model) -> None:
    """Lock a row against changes until the transaction ends."""
    rows = type(row)._base_manager.filter(pk=row.pk)
    list(rows.select_for_update(no_key=True).values_list("pk"))


class VersionedView(APIView):
    """A view that sends an object's ETag and checks ``If-Match`` before a change.

    The version is a digest of the answer: it changes with everything that a caller can
    see.
    """

    # Fields that change by themselves; they do not count for the version.
    moving_fields: frozenset[str] = frozenset()

    def versioned(self, shown: Mapping[str, Any], status: int = 200) -> Response:
        """Answer with an object and its version."""
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
        """Change a row inside this context; 412 if its author saw another version.

        ``shown`` reads the row again and returns it as callers see it. That happens
        under the row's lock, in the transaction of the change: of two callers who saw
        the same version, one is refused. ``lock`` locks the row where the change must
        lock other rows first. Without ``If-Match`` nothing is checked. Raises NotFound
        for a row that another caller has just deleted.
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
