"""Several bridges on a real broker: adopt, lose, share and drain slots."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import paho.mqtt.client as mqtt
import pytest
from django.db import connection, transaction
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from iotplatform.local.broker import BRIDGE_USER
from state.models import ListeningSlot, Presence
from state.selectors.adapter_liveness import blind_since
from state.services.presence.sweep import sweep_across_tenants
from tests.adapters.bridge_process import BridgeProcess, waiting_for_locks
from tests.adapters.traffic import Traffic, offline_moves, wait_until_stored_once
from tests.broker_process import BrokerProcess
from tests.factories import DeviceFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., BridgeProcess]

ADOPTED_WITHIN_SECONDS = 10.0


@pytest.fixture
def start(start: Start) -> Start:
    """Start bridges that share two slots, unless a test says otherwise."""
    return partial(start, slots=2)


@pytest.fixture
def traffic(broker: BrokerProcess) -> Traffic:
    return Traffic(broker, DeviceFactory.create_batch(60), each_second=150)


def owners() -> dict[int, str]:
    """Return the present owner of each slot."""
    recent = datetime.now(UTC) - timedelta(seconds=2)
    rows = ListeningSlot.objects.filter(beat_at__gt=recent, owner__gt="")
    return dict(rows.values_list("slot", "owner"))


def share(bridges: list[BridgeProcess]) -> None:
    """Wait until each of two bridges reads its own slot."""
    wait_until(
        lambda: (
            len(owners()) == 2 == len(set(owners().values()))
            and sum(b.log().count(": listening") for b in bridges) >= 2
        ),
        what="each bridge reads a slot",
    )


def adopted_after(survivor: BridgeProcess, begin: float) -> float:
    """Wait until the survivor reads both slots; return how long that took."""
    listening_before = survivor.log().count(": listening")
    wait_until(
        lambda: (
            survivor.log().count(": listening") > listening_before
            or len([o for o in owners().values() if o.endswith(f":{survivor.pid}")])
            == 2
        ),
        what="the survivor reads both slots",
    )
    return time.monotonic() - begin


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_an_orphaned_slot_is_adopted_within_ten_seconds_and_each_message_is_stored_once(
    start: Start, traffic: Traffic, fate: signal.Signals
) -> None:
    bridges = [start(), start()]
    share(bridges)
    victim, survivor = bridges
    traffic.start()
    wait_until(lambda: Presence.objects.count() == 60, what="all devices are online")

    victim.send(fate)
    took = adopted_after(survivor, time.monotonic())
    if fate == signal.SIGSTOP:
        victim.send(signal.SIGCONT)
        wait_until(
            lambda: "another bridge owns it now" in victim.log(),
            what="the stopped one finds that it lost its slot",
        )
    acknowledged = traffic.finish()

    assert took < ADOPTED_WITHIN_SECONDS
    wait_until_stored_once(traffic, acknowledged)
    wait_until(lambda: blind_since(datetime.now(UTC)) is None, what="all slots read")
    assert sweep_across_tenants(now=datetime.now(UTC)) >= 0
    assert offline_moves(traffic) == 0


def test_a_bridge_that_is_stopped_in_a_transaction_neither_blocks_nor_writes(
    start: Start, traffic: Traffic
) -> None:
    bridges = [start(), start()]
    share(bridges)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE state_alarm")
        traffic.publish(300)
        wait_until(lambda: waiting_for_locks() == 2, what="both wait in a batch")
        victim, survivor = bridges
        victim.send(signal.SIGSTOP)
        begin = time.monotonic()

    took = adopted_after(survivor, begin)
    wait_until_stored_once(traffic, traffic.finish())
    victim.send(signal.SIGCONT)

    wait_until(
        lambda: "another bridge owns it now" in victim.log(),
        what="the stopped one finds that it lost its slot",
    )
    assert took < ADOPTED_WITHIN_SECONDS
    wait_until_stored_once(traffic, {f"c-{n}" for n in range(1, 301)})


def test_a_bridge_with_several_slots_gives_one_to_a_new_bridge(
    start: Start, traffic: Traffic
) -> None:
    alone = start()
    wait_until(lambda: len(owners()) == 2, what="the first one reads both slots")
    traffic.start()

    second = start()

    share([alone, second])
    wait_until_stored_once(traffic, traffic.finish())


def test_a_removed_slot_is_drained_before_it_is_forgotten(
    start: Start, broker: BrokerProcess, traffic: Traffic
) -> None:
    both = start()
    wait_until(lambda: both.log().count(": listening") == 2, what="both are read")
    both.stop()
    traffic.publish(400)
    acknowledged = traffic.finish()
    assert has_session(broker, "@bridge-2")

    fewer = start(slots=1)

    wait_until_stored_once(traffic, acknowledged)
    wait_until(
        lambda: set(ListeningSlot.objects.values_list("slot", flat=True)) == {1},
        what="slot 2 is given up",
    )
    assert "slot 2: drained" in fewer.log()
    wait_until(lambda: not has_session(broker, "@bridge-2"), what="its session is gone")
    assert blind_since(datetime.now(UTC)) is None


def has_session(broker: BrokerProcess, client_id: str) -> bool:
    """Ask the broker whether it keeps a session, without changing the session."""
    present: list[bool] = []
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=True,  # do not acknowledge the messages of the session
    )
    client.username_pw_set(BRIDGE_USER, broker.broker.password)
    client.on_connect = lambda c, u, flags, *_: present.append(flags.session_present)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 600
    client.connect(
        "127.0.0.1",
        broker.broker.platform_port,
        clean_start=False,
        properties=properties,
    )
    client.loop_start()
    wait_until(lambda: bool(present), what="the broker answers")
    client.disconnect()
    client.loop_stop()
    return present[0]
