"""A walk past the doors, and what it must not find, change or leave in a log."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from tests.wall.people import APIS, Caller
from tests.wall.rows import Rows, tenant_models

TRIES = "route x method x role tries"
OUR_LOGGERS = ("iotplatform", "registry", "state", "commands", "fleet", "console")
STATEMENTS = "django.db.backends"
# Of no tenant, and yet about a device.
ABOUT_DEVICES = ("fleet_outbox", "commands_outcometotell", "state_riskmark")


@dataclass
class Fleet:
    """Two tenants, everybody of the first, and an admin of the second."""

    ours: Rows
    theirs: Rows
    word: str
    callers: dict[str, Caller]
    their_admin: Caller

    def is_told_in(self, text: str) -> bool:
        """Whether a text has anything of the other tenant's."""
        return self.word in text or self.theirs.short in text


def everything_of(rows: Rows) -> dict[str, list[str]]:
    """Return every row of a tenant as text, by table, in one statement."""
    walled = "SELECT {name}, t::text FROM {table} t WHERE tenant_id = %(tenant)s"
    about = (
        "SELECT {name}, t::text FROM {table} t WHERE device_id IN"
        " (SELECT id FROM registry_device WHERE tenant_id = %(tenant)s)"
    )
    named = [(model._meta.db_table, walled) for model in tenant_models()]
    named += [(table, about) for table in ABOUT_DEVICES]
    parts = [
        sql.SQL(text).format(name=sql.Literal(table), table=sql.Identifier(table))
        for table, text in named
    ]
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(" UNION ALL ").join(parts) + sql.SQL(" ORDER BY 1, 2"),
            {"tenant": rows.tenant.pk},
        )
        for table, row in cursor.fetchall():
            found.setdefault(table, []).append(row)
    return found


class Ear(logging.Handler):
    """Hears every line of our logs, and keeps those that tell of the other tenant."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self.fleet = fleet
        self.heard = 0
        self.told: list[str] = []
        self.asked = re.compile("(?!)")

    def attend(self, *texts: str) -> None:
        """Take what a request says itself for nothing that it was told."""
        named = {
            word
            for text in texts
            for word in re.findall(rf"{self.fleet.word}[\w-]*", text)
        }
        longest_first = sorted(named, key=len, reverse=True)
        choice = "|".join(re.escape(word) for word in longest_first)
        self.asked = re.compile(rf"(?:{choice})(?![\w-])" if choice else "(?!)")

    def emit(self, record: logging.LogRecord) -> None:
        self.heard += 1
        line = self.format(record)
        if self.fleet.is_told_in(self.asked.sub("", line)):
            self.told.append(line)


@contextmanager
def hearing(fleet: Fleet) -> Iterator[Ear]:
    """Listen to all that we log, statements too, at the level of DEBUG."""
    ear = Ear(fleet)
    loggers = [logging.getLogger(name) for name in (*OUR_LOGGERS, STATEMENTS)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(ear)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # nobody else has use for that many lines
    connection.force_debug_cursor = True
    try:
        yield ear
    finally:
        connection.force_debug_cursor = False
        connection.queries_log.clear()
        for logger, (level, propagates) in zip(loggers, before, strict=True):
            logger.removeHandler(ear)
            logger.setLevel(level)
            logger.propagate = propagates


class Walk:
    """Asks, counts, and keeps what was not as it should be."""

    def __init__(
        self, fleet: Fleet, name: str, counted: Counter[str], ear: Ear
    ) -> None:
        self.fleet = fleet
        self.caller = fleet.callers[name]
        self.counted = counted
        self.ear = ear
        self.wrong: list[tuple[str, str, int, str]] = []

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Ask, and return the status and the beginning of the answer."""
        said = list(_texts_in(body))
        self.ear.attend(path, *said)
        answer = self.caller.ask(method, path, body)
        text = answer.getvalue().decode(errors="replace")
        self.counted[TRIES] += 1
        headers = self.ear.asked.sub("", str(answer.headers))
        if self.fleet.is_told_in(self._but_repeated(text, said) + headers):
            self.wrong.append((method, path, answer.status_code, "tells the word"))
        is_ours = answer.status_code >= 500 and path != "/readyz"  # nothing runs here
        # Of the doors of passwords we want that they are throttled.
        is_late = answer.status_code == 429 and path.startswith(APIS)
        if is_late or is_ours:
            self.wrong.append((method, path, answer.status_code, text[:200]))
        return answer.status_code, answer.get("Location", text[:200])

    def expect(
        self, allowed: set[int], method: str, path: str, body: Any = None
    ) -> None:
        """Ask, and keep every answer that is none of the allowed ones."""
        status, said = self.ask(method, path, body)
        if status not in allowed and not (
            status == 302 and said.startswith(("/accounts/login/", "/admin/login/"))
        ):
            self.wrong.append((method, path, status, said))

    def _but_repeated(self, text: str, said: list[str]) -> str:
        for value in said:
            if self.fleet.word in value:
                text = text.replace(value, "")
        return text


def _texts_in(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for value in body.values():
            yield from _texts_in(value)
    elif isinstance(body, list):
        for value in body:
            yield from _texts_in(value)
