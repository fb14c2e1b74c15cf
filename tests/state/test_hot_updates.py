"""Heartbeats are HOT updates, by PostgreSQL's own statistics."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import connection

from registry.models import Device
from tests.factories import DeviceFactory
from tests.state.scene import SECOND, arrive, be_born, t, uplink
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TURNS = 30
UPDATES = """
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
    WHERE relname = 'state_presence'
"""


def updates() -> tuple[int, int]:
    """Return the number of updates of presence, and how many of them were HOT."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(UPDATES)
        row = cursor.fetchone()
    return (row[0], row[1]) if row else (0, 0)


@pytest.fixture
def fleet() -> Sequence[Device]:
    devices: Sequence[Device] = DeviceFactory.create_batch(40)
    for device in devices:
        be_born(device, t(0), boot=1, seq=1)
    return devices


def make_room() -> None:
    """Remove the old row versions, which snapshots of autovacuum may keep.

    A full page would prevent HOT updates, whatever our statements do.
    """
    wait_until(lambda: not _is_autovacuum_running(), what="autovacuum is done")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM state_presence")


def _is_autovacuum_running() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(  # background processes without a client
            "SELECT FROM pg_stat_activity"
            " WHERE usesysid IS NULL AND datname = current_database()"
        )
        return cursor.fetchone() is not None


def test_heartbeats_are_hot_updates_of_one_table(fleet: Sequence[Device]) -> None:
    all_before, hot_before = updates()

    for turn in range(1, TURNS + 1):
        make_room()
        at = t(0) + turn * SECOND
        arrive(*(uplink(d, "heartbeat", at, boot=1, seq=turn + 1) for d in fleet))

    all_after, hot_after = updates()
    assert all_after - all_before == TURNS * len(fleet)
    assert hot_after - hot_before > 0.95 * TURNS * len(fleet)
