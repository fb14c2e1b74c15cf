"""Bad messages over MQTT and HTTP become dead letters and stop no other message."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from iotplatform.common.ids import UID
from iotplatform.common.messages import Undecodable, parse
from iotplatform.local.broker import BRIDGE_USER
from registry.models import Device
from state.models import Alarm, DeadLetter
from state.services.dead_letters import KEPT_OF_SENDER
from tests.adapters.bad_messages import (
    BRANCHES,
    GOOD,
    ID,
    Bad,
    bad_payloads,
    bad_topics,
    encoded,
    is_subscribed,
    mutated,
)
from tests.adapters.bridge_process import BridgeProcess, wait_for_listening
from tests.adapters.http_client import http_unit
from tests.broker_process import BrokerProcess
from tests.factories import DeviceFactory
from tests.state.scene import make_family
from tests.waiting import wait_until

SEED = 20_261_126
MUTATIONS, MUTATIONS_AT_FULL_SIZE = 400, 10_000
KEPT_BYTES = 65_536
# Reasons for messages that are valid, but that this sender may not send.
OF_THE_PLATFORM = {"unknown_command", "unknown_device", "gateway_mismatch", "refused"}
Letter = tuple[str, bytes, str]


class Field:
    """Devices that send everything in order over one connection."""

    def __init__(self, broker: BrokerProcess, count: int) -> None:
        self.devices = DeviceFactory.create_batch(count)
        self.codes: set[str] = set()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "@field")
        self._client.max_inflight_messages_set(1_000)
        # The platform's account may publish on every topic.
        self._client.username_pw_set(BRIDGE_USER, broker.broker.password)
        self._client.connect("127.0.0.1", broker.broker.platform_port)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def send_good(self, number: int) -> None:
        """Send an event of one device, with a unique code."""
        device = self.devices[number % len(self.devices)]
        code = f"good-{number}"
        self.codes.add(code)
        body = GOOD["event"] | {"code": code}
        self.send(f"iot/v1/{device.uid}/event", encoded(body))

    def wait(self) -> float:
        """Wait for one more good message to be stored; return how long that took."""
        begun = time.monotonic()
        self.send_good(1_000_000 + len(self.codes))
        wait_until(lambda: not self.missing(), what="the last is stored")
        return time.monotonic() - begun

    def missing(self) -> set[str]:
        return self.codes - set(Alarm.objects.values_list("code", flat=True))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def bridge(broker: BrokerProcess, transactional_db: None) -> Iterator[BridgeProcess]:
    process = BridgeProcess(broker.url).start()
    wait_for_listening(process)
    yield process
    process.kill()


def letters() -> Counter[Letter]:
    rows = DeadLetter.objects.values_list("topic", "payload", "reason")
    return Counter((topic, bytes(data), reason) for topic, data, reason in rows)


def of(bad: Bad) -> Letter:
    return bad.topic, bad.payload[:KEPT_BYTES], bad.reason


def foreign(device: Device) -> list[Bad]:
    """Valid messages of others: unknown, retired, not a child, unknown command."""
    gateway, _ = make_family()
    retired = DeviceFactory.create(lifecycle="retired")
    good = {kind: encoded(body) for kind, body in GOOD.items()}
    found = []
    for kind, branch in BRANCHES.items():
        body = good[kind]
        found += [
            Bad(f"iot/v1/nobody-1/{branch}", body, "unknown_device"),
            Bad(f"iot/v1/no-hub/child/{device.uid}/{branch}", body, "unknown_device"),
            Bad(f"iot/v1/{gateway.uid}/child/nobody/{branch}", body, "unknown_device"),
            Bad(
                f"iot/v1/{gateway.uid}/child/{device.uid}/{branch}",
                body,
                "gateway_mismatch",
            ),
            Bad(f"iot/v1/{retired.uid}/{branch}", body, "lifecycle"),
        ]
        if ID in branch:
            found.append(Bad(f"iot/v1/{device.uid}/{branch}", body, "unknown_command"))
    return found


@pytest.mark.django_db(transaction=True)
def test_each_bad_message_over_mqtt_is_a_dead_letter_with_its_reason_and_stops_no_other(
    broker: BrokerProcess,
    bridge: BridgeProcess,
    counted: Counter[str],
    is_long: bool,
) -> None:
    field = Field(broker, 20)
    each = [[*bad_payloads(d.uid), *bad_topics(d.uid)] for d in field.devices]
    sent = [each[n % len(each)][n] for n in range(len(each[0]))]
    sent += foreign(field.devices[0])

    for number, bad in enumerate(sent):
        field.send(bad.topic, bad.payload)
        if number % 5 == 0:
            field.send_good(number)
    field.wait()
    next_seconds = field.wait()

    assert letters() == Counter(of(bad) for bad in sent)
    assert "Traceback" not in bridge.log()
    counted["bad messages of the corpus, over a broker"] += len(sent)
    counted["ms from the next good message to its commit"] = int(next_seconds * 1_000)
    if is_long:
        assert next_seconds < 1
    field.close()


@pytest.mark.django_db(transaction=True)
def test_mutated_messages_are_ingested_or_dead_letters_and_stop_no_other(
    broker: BrokerProcess,
    bridge: BridgeProcess,
    counted: Counter[str],
    is_long: bool,
) -> None:
    field = Field(broker, 60)
    chance = random.Random(SEED)
    expected: Counter[Letter] = Counter()
    for number in range(MUTATIONS_AT_FULL_SIZE if is_long else MUTATIONS):
        device = field.devices[number % len(field.devices)]
        topic, payload = mutated(device.uid, chance)
        field.send(topic, payload)
        counted["mutated messages, over a broker"] += 1
        if (reason := reason_of(topic, payload)) is not None:
            expected[topic, payload[:KEPT_BYTES], reason] += 1
        if number % 20 == 0:
            field.send_good(number)
    field.wait()

    found = letters()
    lost = expected - found
    assert all(UID.fullmatch(topic.split("/")[2]) is None for topic, *_ in lost)
    # All senders without a valid uid share one limit.
    if lost:
        assert DeadLetter.objects.filter(sender="").count() == KEPT_OF_SENDER
    more = Counter[str]()
    for (_, _, reason), count in (found - expected).items():
        more[reason] += count
    assert set(more) <= OF_THE_PLATFORM
    assert bridge.log().count("Traceback") == more["refused"]
    counted["of them dead letters"] += found.total()
    field.close()


def reason_of(topic: str, payload: bytes) -> str | None:
    """Return why the protocol refuses a message; None if it is valid."""
    assert is_subscribed(topic)
    at = datetime.now(UTC)
    try:
        parse(topic, payload, retained=False, arrived_at=at, adapter="mqtt")
    except Undecodable as error:
        return error.reason
    return None


@pytest.mark.django_db
def test_each_bad_message_over_http_is_refused_and_kept_as_a_dead_letter(
    counted: Counter[str], is_long: bool
) -> None:
    for kind, branch in BRANCHES.items():
        unit = http_unit()
        path = branch.replace("command/", "commands/")
        of_kind = [
            b
            for b in bad_payloads(unit.device.uid)
            if b.topic.endswith(branch)
            and b.payload != b"[{}]"  # over HTTP, this is a list with one message
        ]
        bad = of_kind if is_long else of_kind[len(kind) % 8 :: 8]
        for number, one in enumerate(bad):
            known = DeadLetter.objects.count()
            answer = unit.post(path, one.payload)
            assert answer.status_code in (400, 413), (kind, one.payload[:80])
            assert answer["Content-Type"] == "application/problem+json"
            assert DeadLetter.objects.count() > known
            letter = DeadLetter.objects.latest("pk")
            if not one.payload.lstrip().startswith(b"["):
                kept = letter.topic, bytes(letter.payload), letter.reason
                assert kept == of(one)
            unit.say("event", GOOD["event"] | {"code": f"{kind}-{number}"})
        assert Alarm.objects.filter(device=unit.device).count() == len(bad)
        counted["bad messages of the corpus, over HTTP"] += len(bad)


@pytest.mark.django_db
def test_in_a_list_over_http_bad_messages_are_named_and_good_ones_are_ingested() -> (
    None
):
    unit = http_unit()
    bad = [
        b.payload
        for b in bad_payloads(unit.device.uid)
        if b.topic.endswith("/event")
        and b.reason == "bad_message"
        and b.payload != b"[" * 10_000  # it would break the list around it
    ]
    good = [GOOD["event"] | {"code": f"good-{n}"} for n in range(len(bad))]
    pairs = zip(map(encoded, good), bad, strict=True)
    mixed = b",".join(part for pair in pairs for part in pair)

    answer = unit.post("event", b"[" + mixed + b"]")

    body = json.loads(answer.content)
    assert (answer.status_code, body["taken"]) == (400, len(good))
    named = {row["field"].partition(".")[0] for row in body["errors"]}
    assert named == {str(2 * n + 1) for n in range(len(bad))}
    assert Alarm.objects.filter(device=unit.device).count() == len(good)
