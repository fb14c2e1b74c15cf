"""``?wait=`` of a command and a job: the answer comes when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from commands.api.waiting import waiters
from commands.models import Command
from commands.services.jobs import cancel_job
from tests.commands.test_command_api import client_of, fields_of
from tests.commands.test_jobs import make_job
from tests.commands.units import Unit, ask, deliver, online_unit
from tests.waiting import wait_until

LONG = 50  # seconds: a test that waited to the end would be noticed


def url_of(kind: str, row: Any) -> str:
    return f"/api/v1/{kind}s/{row.public_id}/"


@pytest.mark.django_db
@pytest.mark.parametrize("wait", ["-1", "61", "1.5", "x", "", "٣"])
def test_a_wrong_wait_is_named(wait: str) -> None:
    unit = online_unit()
    api = client_of(unit.device)
    for kind, row in (("command", ask(unit)), ("job", make_job([unit]))):
        answer = api.get(url_of(kind, row), {"wait": wait})

        assert (answer.status_code, fields_of(answer)) == (400, ["wait"])


@pytest.mark.django_db
def test_what_has_ended_or_may_not_wait_is_answered_at_once(settings: Any) -> None:
    settings.API_WAITS = 0
    unit = online_unit()
    api = client_of(unit.device)
    command, job = ask(unit), make_job([unit])

    def statuses() -> list[str]:
        rows = ("command", command), ("job", job)
        urls = [url_of(kind, row) for kind, row in rows]
        return [api.get(url, {"wait": LONG}).json()["status"] for url in urls]

    began = time.monotonic()
    assert statuses() == ["queued", "draft"]  # no room to wait
    deliver()
    unit.result(command)
    cancel_job(job=job, actor=None, reason="enough")
    settings.API_WAITS = 4
    assert statuses() == ["succeeded", "cancelled"]
    assert time.monotonic() - began < LONG


@pytest.fixture
def quiet(transactional_db: None) -> Iterator[None]:
    """Requests wait for committed changes; afterwards nothing checks any more."""
    yield
    wait_until(lambda: not waiters.is_watching, what="the checking thread ends")


def test_a_waiting_request_is_answered_with_the_end_and_holds_no_connection(
    quiet: None, settings: Any
) -> None:
    settings.API_WAITS = 2
    unit = online_unit()
    api = client_of(unit.device)
    command, job = ask(unit), make_job([unit])
    deliver()

    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(_in_thread(lambda url=url: api.get(url, {"wait": LONG}).json()))  # type: ignore[misc]
            for url in (url_of("command", command), url_of("job", job))
        ]
        wait_until(lambda: waiters.count == 2, what="both wait")
        # One of the test, one that listens, and for a moment one that checks.
        wait_until(lambda: _connections() <= 3, what="the requests closed theirs")
        more = api.get(url_of("command", command), {"wait": LONG}).json()
        assert more["status"] == "sent"  # one too many: what is known, at once
        _acknowledge_only(unit, command)
        assert not any(future.done() for future in waiting)

        unit.result(command)
        assert _status(waiting[0]) == "succeeded"
        cancel_job(job=job, actor=None, reason="enough")
        assert _status(waiting[1]) == "cancelled"

    ended_in_time = api.get(url_of("command", ask(unit)), {"wait": 1})
    assert ended_in_time.json()["ended_at"] is None


def _acknowledge_only(unit: Unit, command: Command) -> None:
    unit.acknowledge(command)
    assert Command.objects.get(pk=command.pk).status == "received"


def _status(future: Future[Any]) -> str:
    return str(future.result(timeout=LONG - 10)["status"])


def _in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    return run


def _connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])
