"""A connection as the web's: it signs in as the owner, and acts as the walled role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

Connect = Callable[..., AbstractContextManager[psycopg.Connection[Any]]]


@pytest.fixture
def connect(db: None) -> Connect:
    """Open a connection beside Django's: ``connect(role, tenants=[1])``."""

    @contextmanager
    def opened(
        role: str = "iot_web", **settings: str
    ) -> Iterator[psycopg.Connection[Any]]:
        given = connection.get_connection_params()
        given = {
            k: v for k, v in given.items() if k not in ("context", "cursor_factory")
        }
        given["options"] = f"-c role={role}"
        with psycopg.connect(**given, autocommit=True) as found:
            for name, value in settings.items():
                found.execute(
                    "SELECT set_config(%s, %s, false)", [f"iot.{name}", value]
                )
            yield found

    return opened
