"""Sets what web requests set in a transaction: who acts, by which entry point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from registry.models import ApiToken, User

SETTINGS = ("iot.user_id", "iot.token_id", "iot.door")


@contextmanager
def acting(
    user: User | None = None, *, token: ApiToken | None = None, door: str = "rest"
) -> Iterator[None]:
    """Run a transaction in which a person acts; afterwards nobody does."""
    values = (user.pk if user else "", token.pk if token else "", door)
    with transaction.atomic():
        _stamp(values)
        yield
        _stamp(("", "", ""))  # inside a test's own transaction, it would stay set


def _stamp(values: tuple[object, ...]) -> None:
    with connection.cursor() as cursor:
        for name, value in zip(SETTINGS, values, strict=True):
            cursor.execute("SELECT set_config(%s, %s, true)", [name, str(value)])
