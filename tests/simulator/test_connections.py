"""Connections of simulated devices: drops, wills, children, many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from iotplatform.simulator.secrets import device_secret
from iotplatform.simulator.targets import Target
from tests.broker_process import BrokerProcess
from tests.simulator.platform_client import KEY, FakePlatform, simulated, until
from tests.waiting import wait_until

MANY = 200


@pytest.fixture
def platform(broker: BrokerProcess) -> Iterator[FakePlatform]:
    client = FakePlatform.connect(broker)
    yield client
    client.close()


@pytest.fixture
def uid(broker: BrokerProcess) -> Iterator[str]:
    """A device that the broker knows."""
    name = f"sim-{uuid4().hex[:8]}"
    broker.add_device(name, device_secret(KEY, name))
    yield name
    broker.remove_device(name)


def test_a_dropped_connection_publishes_the_will_of_its_session(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, Target(uid, profile="flaky")) as world:
            await until(lambda: platform.of(uid, "status"), "birth")
            world.stations[uid].drop(absence_seconds=0.1)
            await until(lambda: len(platform.of(uid, "status")) == 3, "a new birth")

    asyncio.run(scenario())

    first, will, second = platform.of(uid, "status")[:3]
    assert [m.status for m in (first, will, second)] == ["online", "offline", "online"]
    assert will.session == first.session != second.session
    assert first.boot == second.boot


def test_a_goodbye_reaches_a_broker_that_is_slow_to_read(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, Target(uid, profile="healthy")) as world:
            await until(lambda: platform.of(uid, "reported"), "birth")
            station = world.stations[uid]
            station.head.report()
            # This blocks the event loop: the broker's confirmation arrives, but unread.
            wait_until(lambda: len(platform.of(uid, "reported")) == 2, what="report")
            broker.pause()
            stopping = asyncio.create_task(station.stop())
            await asyncio.sleep(0.2)
            broker.resume()
            await stopping

    asyncio.run(scenario())

    wait_until(lambda: len(platform.of(uid, "status")) == 2, what="its last status")
    assert platform.of(uid, "status")[-1].status == "goodbye"


def test_a_gateway_relays_commands_and_answers_of_its_child(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    child = f"{uid}-child"

    async def scenario() -> None:
        targets = (
            Target(uid, profile="healthy"),
            Target(child, gateway_uid=uid, profile="healthy"),
        )
        async with simulated(broker, tmp_path, *targets):
            await until(lambda: platform.of(child, "reported"), "the child's birth")
            platform.send(f"{uid}/child/{child}", "identify")
            await until(lambda: platform.of(child, "result"), "the child's result")
            platform.send(f"{uid}/child/{child}", "reboot")
            await until(lambda: len(platform.of(child, "result")) == 2, "its return")

    asyncio.run(scenario())

    births = [m for m in platform.of(child, "status") if m.status == "online"]
    assert [birth.boot for birth in births] == [1, 2]
    received = [uplink for uplink in platform.received if uplink.uid == child]
    assert {uplink.gateway_uid for uplink in received} == {uid}
    assert platform.of(uid, "ack") == []


def test_devices_with_the_same_seed_use_the_same_sessions(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario(run: int, seed: int) -> None:
        folder = tmp_path / str(run)
        async with simulated(broker, folder, Target(uid), seed=seed):
            await until(lambda: len(platform.of(uid, "reported")) == run, "birth")

    for run, seed in ((1, 5), (2, 5), (3, 6)):
        asyncio.run(scenario(run, seed))

    births = [m for m in platform.of(uid, "status") if m.status == "online"]
    first, second, other = (birth.session for birth in births)
    assert first == second != other


def test_a_refused_device_retries_and_is_reported(
    broker: BrokerProcess,
    platform: FakePlatform,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stranger = f"sim-{uuid4().hex[:8]}"

    async def scenario() -> None:
        async with simulated(broker, tmp_path, Target(stranger)) as world:
            await until(lambda: world.report._refused, "a refusal")
            world.report.log()

    asyncio.run(scenario())

    assert f"refused by the broker ({stranger}: Not authorized)" in caplog.text
    assert platform.of(stranger) == []


def test_many_devices_run_in_one_process(
    broker: BrokerProcess, platform: FakePlatform, tmp_path: Path
) -> None:
    batch = uuid4().hex[:6]
    uids = [f"many-{batch}-{number}" for number in range(MANY)]
    broker.add_devices({name: device_secret(KEY, name) for name in uids})

    async def scenario() -> None:
        targets = [Target(name, profile="healthy") for name in uids]
        async with simulated(broker, tmp_path, *targets) as world:
            await until(lambda: world.report.connected == MANY, "all are connected")
            for name in uids:
                platform.send(name, "identify")
            await until(
                lambda: all(platform.of(name, "result") for name in uids),
                "all have answered",
            )

    asyncio.run(scenario())

    wait_until(
        lambda: all(
            platform.of(name, "status")[-1].status == "goodbye" for name in uids
        ),
        what="everybody's goodbye",
    )
