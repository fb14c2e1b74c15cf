"""A worker that is killed again and again calls for every move, and for none twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection

from fleet.models import CohortCall
from fleet.services.cohorts import save_cohort
from fleet.services.indexing import Indexer
from iotplatform.celery import app
from registry.models import Device, Tenant
from tests.factories import DeviceFactory
from tests.fleet.test_indexer_killed import database_url
from tests.waiting import wait_until

MOVES, KILLS = 300, 3
MOVES_AT_FULL_SIZE, KILLS_AT_FULL_SIZE = 10_000, 20
PROMISED_SECONDS = 60
WAITING = """
    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND a.datname = current_database()
"""


class Worker:
    """A real Celery worker, with a queue of its own."""

    def __init__(self, folder: Path) -> None:
        # Other tests may use the queue of this run's Redis.
        self._broker = urlsplit(django_settings.REDIS_URL)._replace(path="/15").geturl()
        self._environment = os.environ | {
            "DATABASE_URL": database_url(),
            "DATABASE_ROLE": "iot_worker",
            "REDIS_URL": self._broker,
            "IOT_DATA_DIR": str(folder),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "iotplatform", "worker"]
        self._process = subprocess.Popen(
            [*celery, "--concurrency", "2", "--without-gossip", "--without-mingle"],
            cwd=django_settings.BASE_DIR,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # its pool is killed with it
        )

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ask(self) -> None:
        """Queue a look, as beat does."""
        with app.connection_for_write(self._broker) as broker:
            app.send_task("fleet.watch_cohorts", connection=broker, expires=5)

    def clear(self) -> None:
        with app.connection_for_write(self._broker) as broker:
            broker.default_channel.queue_purge("celery")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path)
    made.start()
    yield made
    made.kill()
    made.clear()


@contextmanager
def calls_held_back() -> Iterator[None]:
    """Let nobody write a call: a look stops between its members and its calls."""
    given = connection.get_connection_params()
    given = {k: v for k, v in given.items() if k not in ("context", "cursor_factory")}
    given["options"] = "-c role=iot_platform"
    with psycopg.connect(**given) as holder:
        holder.execute("LOCK TABLE fleet_cohortcall IN EXCLUSIVE MODE")
        yield


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


def make_devices(count: int) -> Tenant:
    """Make devices; every second one has the tag at first."""
    first: Device = DeviceFactory.create(uid="first")
    Device.objects.bulk_create(
        Device(
            tenant=first.tenant,
            uid=f"d-{number:05}",
            site=first.site,
            product=first.product,
            tags=["cold"] if number % 2 else [],
        )
        for number in range(count)
    )
    return first.tenant


def move(numbers: range) -> None:
    """Let every second of these devices leave, and the others enter."""
    for kind, tags in ((0, ["cold"]), (1, [])):
        uids = [f"d-{number:05}" for number in numbers if number % 2 == kind]
        Device.objects.filter(uid__in=uids).update(tags=tags)


def count_calls() -> int:
    return CohortCall.objects.count()


@pytest.mark.django_db(transaction=True)
def test_every_move_calls_once_however_often_the_worker_is_killed(
    worker: Worker, tmp_path: Path, settings: Any, is_long: bool
) -> None:
    moves = MOVES_AT_FULL_SIZE if is_long else MOVES
    kills = KILLS_AT_FULL_SIZE if is_long else KILLS
    each = moves // kills
    settings.INDEX_DIR = tmp_path / "index"
    tenant = make_devices(moves)
    indexer = Indexer(settings.INDEX_DIR)
    indexer.open()
    save_cohort(
        tenant=tenant, name="Cold", query="tag:cold", actor=None, calls_each=True
    )

    def asked(holds: Any) -> Any:
        worker.ask()
        return holds()

    for number in range(kills):
        before = count_calls()
        if number % 2:  # at any moment: before, within or after a look
            move(range(number * each, (number + 1) * each))
            worker.ask()
            while indexer.drain():
                pass
            wait_until(
                lambda: asked(lambda: count_calls() > before),  # noqa: B023
                seconds=PROMISED_SECONDS,
                every=0.2,
            )
            worker.kill()
        else:  # when the members are compared and the calls are not written
            with calls_held_back():
                move(range(number * each, (number + 1) * each))
                while indexer.drain():
                    pass
                wait_until(
                    lambda: asked(is_somebody_waiting),
                    seconds=PROMISED_SECONDS,
                    every=0.2,
                )
                worker.kill()
            assert count_calls() == before
        worker.start()
    wait_until(
        lambda: asked(lambda: count_calls() >= moves),
        seconds=PROMISED_SECONDS,
        every=0.2,
        what="a call for every move",
    )
    worker.kill()
    indexer.close()

    calls = Counter(CohortCall.objects.values_list("uid", "kind"))
    assert calls == Counter(
        (f"d-{number:05}", "left" if number % 2 else "entered")
        for number in range(moves)
    )
