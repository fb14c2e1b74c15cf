"""What each broker refuses to standard clients: secrets, topics, wills."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from iotplatform.local.broker import BRIDGE_USER
from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto
from tests.waiting import wait_until


@pytest.fixture(scope="module", params=["mosquitto", "amqtt"])
def mqtt(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    need_mosquitto()  # for its clients
    process = BrokerProcess(is_stand_in=request.param == "amqtt")
    for uid in ("dev-1", "dev-2"):
        process.add_device(uid)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def bridge(mqtt: BrokerProcess) -> Iterator[subprocess.Popen[str]]:
    """A client of the platform that receives everything."""
    process = mqtt.subscribe(BRIDGE_USER, "iot/v1/#", "-R")
    yield process
    stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def topics_until(listener: subprocess.Popen[str], last: str) -> list[str]:
    """The topics that the client receives, in order, up to the last one of the test."""
    found: list[str] = []
    assert listener.stdout is not None
    for line in listener.stdout:
        if line.startswith("got "):
            found.append(line.split()[1])
            if found[-1] == last:
                return found
    raise AssertionError(f"{last} never came; got {found}")


@pytest.mark.parametrize(
    "topic",
    [
        "status",
        "heartbeat",
        "telemetry",
        "reported",
        "event",
        "command/c1/ack",
        "command/c1/progress",
        "command/c1/result",
        "child/dev-9/telemetry",
    ],
)
def test_a_device_writes_each_of_its_own_topics(
    mqtt: BrokerProcess, bridge: subprocess.Popen[str], topic: str
) -> None:
    mqtt.publish("dev-1", f"iot/v1/dev-1/{topic}", "{}")

    assert topics_until(bridge, f"iot/v1/dev-1/{topic}")


def test_a_wrong_secret_and_an_unknown_name_are_refused(mqtt: BrokerProcess) -> None:
    wrong = mqtt.publish("dev-1", "iot/v1/dev-1/status", "{}", secret="guess")
    unknown = mqtt.publish("dev-404", "iot/v1/dev-404/status", "{}", secret="secret")

    assert wrong.returncode != 0
    assert unknown.returncode != 0


@pytest.mark.parametrize(
    "topic",
    [
        "iot/v1/dev-2/status",  # another device's
        "iot/v1/dev-1/down/command",  # only the platform commands
        "iot/v1/dev-1/down/desired",
        "iot/v1/dev-1/command/c1/other",
        "iot/v1/dev-2/child/dev-1/status",
        "iot/v1/status",
        "elsewhere",
    ],
)
def test_a_foreign_topic_is_not_delivered(
    mqtt: BrokerProcess, bridge: subprocess.Popen[str], topic: str
) -> None:
    mqtt.publish("dev-1", topic, "{}")
    mqtt.publish("dev-1", "iot/v1/dev-1/heartbeat", "{}")

    received = topics_until(bridge, "iot/v1/dev-1/heartbeat")
    assert received == ["iot/v1/dev-1/heartbeat"]


def test_a_foreign_will_is_not_delivered(
    mqtt: BrokerProcess, bridge: subprocess.Popen[str]
) -> None:
    will = ["--will-topic", "iot/v1/dev-2/status", "--will-payload", "offline"]
    attacker = mqtt.subscribe("dev-1", "iot/v1/dev-1/down/#", *will)
    stop(attacker)  # without a goodbye: now the broker would send it

    mqtt.publish("dev-2", "iot/v1/dev-2/heartbeat", "{}")
    received = topics_until(bridge, "iot/v1/dev-2/heartbeat")
    assert received == ["iot/v1/dev-2/heartbeat"]


def test_a_devices_own_will_is_delivered(
    mqtt: BrokerProcess, bridge: subprocess.Popen[str]
) -> None:
    will = ["--will-topic", "iot/v1/dev-1/status", "--will-payload", "offline"]
    stop(mqtt.subscribe("dev-1", "iot/v1/dev-1/down/#", *will))

    assert topics_until(bridge, "iot/v1/dev-1/status")


@pytest.mark.parametrize(
    "wildcard", ["#", "iot/v1/#", "iot/v1/+/down/#", "+/+/dev-2/down/#", "$SYS/#"]
)
def test_a_wildcard_subscription_receives_only_the_devices_own_messages(
    mqtt: BrokerProcess, wildcard: str
) -> None:
    listener = mqtt.subscribe("dev-1", wildcard, "-t", "iot/v1/dev-1/down/#")

    mqtt.publish("dev-2", "iot/v1/dev-2/status", "{}", "-r")
    mqtt.publish(BRIDGE_USER, "iot/v1/dev-2/down/command", "{}")
    mqtt.publish(BRIDGE_USER, "iot/v1/dev-1/down/command", "{}")

    received = topics_until(listener, "iot/v1/dev-1/down/command")
    stop(listener)
    assert set(received) == {"iot/v1/dev-1/down/command"}


def test_retained_messages_of_others_are_not_delivered_at_a_connect(
    mqtt: BrokerProcess, bridge: subprocess.Popen[str]
) -> None:
    mqtt.publish("dev-2", "iot/v1/dev-2/status", '{"status":"online"}', "-r")
    topics_until(bridge, "iot/v1/dev-2/status")

    listener = mqtt.subscribe("dev-1", "iot/v1/dev-1/down/#", "-c")
    mqtt.publish(BRIDGE_USER, "iot/v1/dev-1/down/command", "{}")

    received = topics_until(listener, "iot/v1/dev-1/down/command")
    stop(listener)
    assert received == ["iot/v1/dev-1/down/command"]


def test_another_devices_client_id_does_not_give_access_to_its_session(
    mqtt: BrokerProcess,
) -> None:
    victim = mqtt.subscribe("dev-1", "iot/v1/dev-1/down/#")

    mqtt.publish("dev-2", "iot/v1/dev-2/heartbeat", "{}", "-i", "dev-1")
    mqtt.publish("dev-1x", "iot/v1/dev-2/heartbeat", "{}", "-i", "dev-1", secret="no")
    mqtt.publish(BRIDGE_USER, "iot/v1/dev-1/down/command", "{}")

    assert topics_until(victim, "iot/v1/dev-1/down/command")
    stop(victim)


def test_a_platform_user_is_refused_at_the_devices_listener(
    mqtt: BrokerProcess,
) -> None:
    words = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(mqtt.port), "-q", "1"]
    words += [
        "-u",
        BRIDGE_USER,
        "-P",
        mqtt.broker.password,
        "-t",
        "iot/v1/x",
        "-m",
        "1",
    ]

    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


def test_a_session_ends_when_its_credential_is_removed(mqtt: BrokerProcess) -> None:
    mqtt.add_device("dev-3")
    wait_until(
        lambda: mqtt.publish("dev-3", "iot/v1/dev-3/heartbeat", "{}").returncode == 0,
        what="the new device is let in",
    )
    listener = mqtt.subscribe("dev-3", "iot/v1/dev-3/down/#")

    mqtt.remove_device("dev-3")
    # Another client connects at once, as the platform does to check the new files.
    mqtt.publish("dev-1", "iot/v1/dev-1/heartbeat", "{}")

    # The client reconnects by itself, and is refused.
    assert listener.stdout is not None
    with contextlib.closing(listener.stdout):
        assert any("not authorised" in line.lower() for line in listener.stdout)
    listener.kill()
    listener.wait()
