"""Heartbeats are HOT updates: PostgreSQL's own count says so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import connection

from registry.models import Device
from tests.factories import DeviceFactory
from tests.state.scene import SECOND, arrive, be_born, t, uplink

pytestmark = pytest.mark.django_db(transaction=True)

# While autovacuum looks at any table, PostgreSQL keeps old versions for it, and pages
# fill: a round that it disturbed says nothing of our statements.
ROUNDS = 4

UPDATES = """
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
    WHERE relname = 'state_presence'
"""


def updates() -> tuple[int, int]:
    """Return how many updates presence has seen, and how many of them were HOT."""
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


def test_heartbeats_are_hot_updates_of_one_table(fleet: Sequence[Device]) -> None:
    shares = [share_of(fleet, first=1 + 30 * number) for number in range(ROUNDS)]

    assert max(shares) > 0.95, shares


def share_of(fleet: Sequence[Device], *, first: int) -> float:
    """Let each device beat thirty times; return the share of HOT updates."""
    all_before, hot_before = updates()

    for turn in range(first, first + 30):
        at = t(0) + turn * SECOND
        arrive(*(uplink(d, "heartbeat", at, boot=1, seq=turn + 1) for d in fleet))

    all_after, hot_after = updates()
    assert all_after - all_before == 30 * len(fleet)
    return (hot_after - hot_before) / (all_after - all_before)
