"""Simulated devices on a real broker: their messages, and how they execute commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest

from iotplatform.simulator.profiles import MAIN_FIRMWARE
from iotplatform.simulator.scenes.stage import (
    Request,
    request_path,
    write_request,
)
from iotplatform.simulator.secrets import device_secret
from iotplatform.simulator.targets import Target
from tests.broker_process import BrokerProcess
from tests.simulator.platform_client import KEY, FakePlatform, simulated, until


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


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def device(uid: str, profile: str = "healthy", **fields: Any) -> Target:
    return Target(uid, profile=profile, firmware=MAIN_FIRMWARE, **fields)


def journal(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "journal.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_device_publishes_birth_report_and_goodbye(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid, heartbeat_seconds=1)):
            await until(lambda: platform.of(uid, "heartbeat"), "a heartbeat")
        await until(lambda: len(platform.of(uid, "status")) == 2, "a goodbye")

    play(scenario())

    birth, goodbye = platform.of(uid, "status")
    assert (birth.status, goodbye.status) == ("online", "goodbye")
    assert birth.session == goodbye.session
    assert (birth.boot, birth.heartbeat_seconds) == (1, 1)
    (report,) = platform.of(uid, "reported")
    assert report.reported["firmware"] == MAIN_FIRMWARE
    seqs = [message.seq for message in platform.of(uid)]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_repeated_command_is_answered_again_and_executed_once(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid)):
            await until(lambda: platform.of(uid, "reported"), "birth")
            command_id = platform.send(uid, "identify", {"seconds": 3})
            await until(lambda: platform.of(uid, "result"), "a result")
            platform.send(uid, "identify", {"seconds": 3}, command_id=command_id)
            await until(
                lambda: len(platform.of(uid, "result")) == 2, "the result again"
            )

    play(scenario())

    first, second = platform.of(uid, "result")
    assert first.status == second.status == "succeeded"
    assert first.payload == {"blinked_seconds": 3}
    (execution,) = journal(tmp_path)
    assert (execution["uid"], execution["name"]) == (uid, "identify")
    assert execution["boot"] == 1


def test_a_reboot_is_executed_once_even_if_the_simulator_restarts(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    command_id = str(uuid4())

    async def scenario(results: int) -> None:
        earlier = len(platform.of(uid, "reported"))
        async with simulated(broker, tmp_path, device(uid)):
            await until(lambda: len(platform.of(uid, "reported")) > earlier, "birth")
            platform.send(uid, "reboot", command_id=command_id)
            await until(lambda: len(platform.of(uid, "result")) == results, "a result")

    play(scenario(1))
    play(scenario(2))

    assert [entry["id"] for entry in journal(tmp_path)] == [command_id]
    births = [m for m in platform.of(uid, "status") if m.status == "online"]
    assert [birth.boot for birth in births] == [1, 2, 3]
    assert len({birth.session for birth in births}) == 3
    goodbyes = [m for m in platform.of(uid, "status") if m.status == "goodbye"]
    assert goodbyes[0].session == births[0].session


def test_two_reboots_at_once_are_both_answered(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    sent: list[str] = []

    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid)):
            await until(lambda: platform.of(uid, "reported"), "birth")
            sent.extend(platform.send(uid, "reboot") for _ in range(2))
            await until(lambda: len(platform.of(uid, "result")) == 2, "both results")

    play(scenario())

    results = [u for u in platform.received if u.uid == uid and u.kind == "result"]
    assert {str(uplink.command_id) for uplink in results} == set(sent)
    assert sorted(entry["id"] for entry in journal(tmp_path)) == sorted(sent)


def test_a_device_reports_its_new_firmware_after_the_restart(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid)):
            await until(lambda: platform.of(uid, "reported"), "birth")
            platform.send(uid, "update_firmware", {"version": "9.9.1"})
            await until(lambda: platform.of(uid, "result"), "a result")

    play(scenario())

    reports = platform.of(uid, "reported")
    assert [r.reported["firmware"] for r in reports] == [MAIN_FIRMWARE, "9.9.1"]
    assert [(r.boot, r.version) for r in reports] == [(1, 1), (2, 2)]
    kinds = [uplink.kind for uplink in platform.received if uplink.uid == uid]
    assert kinds.index("result") > len(kinds) - 1 - kinds[::-1].index("reported")


def test_configuration_is_merged_and_reported_with_a_new_version(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid)):
            await until(lambda: platform.of(uid, "reported"), "birth")
            platform.desire(uid, 3, {"interval": 7, "limits": {"high": 8}})
            await until(lambda: platform.of(uid, "result"), "a result")

    play(scenario())

    reported = platform.of(uid, "reported")[-1].reported
    assert reported["interval"] == 7
    assert reported["limits"] == {"high": 8}
    assert reported["config_version"] == "c3"
    assert reported["firmware"] == MAIN_FIRMWARE


@pytest.mark.parametrize(
    ("profile", "name", "expires_in", "reason"),
    [
        ("healthy", "identify", -1, "expired"),
        ("healthy", "self_destruct", 60, "unsupported"),
        ("rejects", "identify", 60, "not_allowed"),
        ("low_battery", "update_firmware", 60, "low_battery"),
    ],
)
def test_a_command_that_is_not_executed_is_rejected_with_the_reason(
    broker: BrokerProcess,
    platform: FakePlatform,
    uid: str,
    tmp_path: Path,
    profile: str,
    name: str,
    expires_in: float,
    reason: str,
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid, profile)):
            await until(lambda: platform.of(uid, "reported"), "birth")
            platform.send(uid, name, {"version": "9"}, expires_in=expires_in)
            await until(lambda: platform.of(uid, "ack"), "an acknowledgement")

    play(scenario())

    (ack,) = platform.of(uid, "ack")
    assert (ack.status, ack.reason) == ("rejected", reason)
    assert journal(tmp_path) == []


def test_a_device_that_never_finishes_acknowledges_every_time(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid, "never_finishes")):
            await until(lambda: platform.of(uid, "reported"), "birth")
            command_id = platform.send(uid, "identify")
            await until(lambda: platform.of(uid, "ack"), "received")
            platform.send(uid, "identify", command_id=command_id)
            await until(lambda: len(platform.of(uid, "ack")) == 2, "received again")

    play(scenario())

    assert platform.of(uid, "result") == []
    assert len(journal(tmp_path)) == 1


def test_a_scene_is_played_by_the_running_simulator_until_its_end(
    broker: BrokerProcess, platform: FakePlatform, uid: str, tmp_path: Path
) -> None:
    path = request_path(tmp_path)
    asked = Request(
        scene="bad-firmware", uids=[uid, "other"], until=time() + 3_600, version="9.9"
    )

    def versions() -> list[str]:
        return [one.reported["firmware"] for one in platform.of(uid, "reported")]

    async def scenario() -> None:
        async with simulated(broker, tmp_path, device(uid)):
            await until(lambda: platform.of(uid, "reported"), "birth")
            write_request(path, asked)
            await until(lambda: len(platform.of(uid, "status")) == 2, "its loss")
            path.unlink()
            await until(lambda: len(platform.of(uid, "status")) == 3, "its return")
            await until(lambda: versions()[-1] == MAIN_FIRMWARE, "its old firmware")

    play(scenario())

    birth, lost, back = [message.status for message in platform.of(uid, "status")][:3]
    assert (birth, lost, back) == ("online", "offline", "online")
    assert versions()[:2] == [MAIN_FIRMWARE, "9.9"]
