"""A bridge whose broker or database hangs: it notices, limits memory and recovers."""

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
LONG = "m" * 1_900  # in all messages together: 19 MB, and more as Python objects
TRIES = 6
GROWTH_BYTES = 12 * 1024 * 1024


def stop_presence() -> None:
    """Block every batch until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE state_presence")


def test_the_bridge_reconnects_and_resumes_its_session_when_the_broker_hangs(
    start: Start, broker: BrokerProcess, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    sender.raise_alarms(10, "before")

    broker.pause()
    wait_until(lambda: "Keep alive timeout" in bridge.log(), what="a timeout")
    bridge.send(signal.SIGSTOP)  # it must be away while the broker receives more
    broker.resume()
    sender.wait_until_connected()
    sender.raise_alarms(10, "between")
    bridge.send(signal.SIGCONT)

    wait_for_listening(bridge, slots=2)
    sender.raise_alarms(10, "after")
    wait_until(lambda: not sender.missing(), what="all is stored")


def test_messages_wait_at_the_broker_while_the_database_is_away(
    start: Start, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    sender.raise_alarms(600, "before", LONG)
    wait_until(lambda: not sender.missing(), what="it is at work")
    memory = psutil.Process(bridge.pid).memory_info
    before = memory().rss
    with database_away():
        sender.raise_alarms(WAITING, "held", LONG)
        # Between its tries it continues to read, up to the receive window.
        wait_until(
            lambda: bridge.log().count("the database does not answer: ") >= TRIES,
            what="several tries of the bridge",
        )
        assert memory().rss - before < GROWTH_BYTES

    wait_until(lambda: not sender.missing(), what="all is stored")


def test_a_stuck_bridge_exits_and_a_new_one_continues(
    start: Start, sender: Sender
) -> None:
    stuck = start(BRIDGE_STILL_SECONDS="2")
    wait_for_listening(stuck)
    with transaction.atomic():
        stop_presence()
        sender.raise_alarms(20, "held")

        assert stuck.wait(seconds=20) == 70

    start()
    wait_until(lambda: not sender.missing(), what="all is stored")
    assert "the bridge processed nothing for 2 s" in stuck.log()
