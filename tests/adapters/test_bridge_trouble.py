"""A bridge whose broker or database stands still: noticed, bounded, made good."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil
import pytest
from django.db import connection, transaction

from tests.adapters.bridge_process import (
    BridgeProcess,
    database_away,
    wait_for_listening,
)
from tests.adapters.sender import Sender
from tests.broker_process import BrokerProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., BridgeProcess]

WAITING = 10_000
LONG = "m" * 1_900  # all of them: 19 MB, and more as Python's objects
TRIES = 6
GROWTH_BYTES = 12 * 1024 * 1024


def stop_presence() -> None:
    """Have every batch wait until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE state_presence")


def test_a_broker_that_falls_silent_is_left_and_its_session_found_again(
    start: Start, broker: BrokerProcess, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    sender.raise_alarms(10, "before")

    broker.pause()
    wait_until(
        lambda: "Keep alive timeout" in bridge.log(), seconds=40, what="it is noticed"
    )
    bridge.send(signal.SIGSTOP)  # so that it is away while the broker takes more
    broker.go_on()
    sender.come_back()
    sender.raise_alarms(10, "between")
    bridge.send(signal.SIGCONT)

    wait_for_listening(bridge, slots=2)
    sender.raise_alarms(10, "after")
    wait_until(lambda: not sender.missing(), seconds=20, what="all is stored")


def test_what_waits_for_the_database_waits_at_the_broker(
    start: Start, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    sender.raise_alarms(600, "before", LONG)
    wait_until(lambda: not sender.missing(), seconds=20, what="it is at work")
    memory = psutil.Process(bridge.pid).memory_info
    before = memory().rss
    with database_away():
        sender.raise_alarms(WAITING, "held", LONG)
        # It reads on between its tries, as far as there is room.
        wait_until(
            lambda: bridge.log().count("the database: ") >= TRIES,
            seconds=40,
            what="the bridge has tried again and again",
        )
        assert memory().rss - before < GROWTH_BYTES

    wait_until(lambda: not sender.missing(), seconds=60, what="all is stored")


def test_a_bridge_that_processes_nothing_ends_and_another_goes_on(
    start: Start, sender: Sender
) -> None:
    stuck = start(BRIDGE_STILL_SECONDS="2")
    wait_for_listening(stuck)
    with transaction.atomic():
        stop_presence()
        sender.raise_alarms(20, "held")

        assert stuck.wait(seconds=20) == 70

    start()
    wait_until(lambda: not sender.missing(), seconds=20, what="all is stored")
    assert "nothing was processed for 2 s" in stuck.log()
