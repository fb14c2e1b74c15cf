"""Polls over HTTP: each command is returned once, at once, and only to its device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from commands.models import Attempt, Command, RetainedDesired
from commands.services.actions import cancel_command
from iotplatform.adapters.http import poll_answer
from iotplatform.adapters.http.long_poll import waiters
from tests.adapters.http_client import HttpUnit, http_unit
from tests.commands.units import Unit, ask, claim, fresh, sweep
from tests.factories import DeviceFactory
from tests.registry.conftest import fields_of
from tests.state.scene import standing
from tests.waiting import PATIENCE, wait_until


def ask_for(unit: HttpUnit, name: str = "reboot", **params: Any) -> Command:
    return ask(Unit(unit.device), name, params)


def ids(answer: dict[str, Any]) -> list[str]:
    return [command["id"] for command in answer["commands"]]


@pytest.mark.django_db
def test_the_whole_loop_over_http() -> None:
    unit = http_unit()
    unit.say("heartbeat", {})
    command = ask_for(unit, "identify", seconds=3)
    assert claim() == []  # the bridge must not send it

    (handed,) = unit.poll()["commands"]

    assert handed["id"] == str(command.public_id)
    assert handed["name"] == "identify"
    assert handed["params"] == {"seconds": 3}
    assert handed["attempt"] == 1
    assert handed["device"] == unit.device.uid
    assert handed["expires_at"].endswith("Z")
    assert fresh(command).status == "sent"
    attempt = Attempt.objects.get(command=command)
    assert attempt.adapter == "http"
    assert attempt.sent_at is not None
    assert unit.poll() == {"commands": [], "desired": None, "children_desired": []}
    about = f"commands/{command.public_id}"
    unit.say(f"{about}/ack", {"status": "received"})
    assert fresh(command).status == "received"
    unit.say(f"{about}/progress", {"payload": {"percent": 50}})
    assert fresh(command).status == "running"
    unit.say(f"{about}/result", {"status": "succeeded", "payload": {"blinked": 3}})
    ended = fresh(command)
    assert ended.status == "succeeded"
    assert ended.result["payload"] == {"blinked": 3}  # type: ignore[index]


@pytest.mark.django_db
def test_a_poll_is_a_sign_of_life_and_releases_held_commands() -> None:
    unit = http_unit()
    command = ask_for(unit)
    assert fresh(command).status == "held"

    assert ids(unit.poll()) == [str(command.public_id)]

    assert standing(unit.device) == ("online", "")


@pytest.mark.django_db
def test_a_poll_returns_the_configuration_and_again_to_a_device_that_lost_it() -> None:
    unit = http_unit()
    unit.say("status", {"status": "online"})
    command = ask_for(unit, "set_config", interval=5)

    first = unit.poll()

    wanted = {"version": 1, "desired": {"interval": 5}}
    assert first["commands"] == []
    assert first["desired"] == wanted | {"command_id": str(command.public_id)}
    assert not RetainedDesired.objects.exists()  # the broker has no retained message
    assert unit.poll()["desired"] is None
    assert unit.poll(desired_version=1)["desired"] is None
    assert unit.poll(desired_version=0)["desired"] == wanted | {"command_id": None}
    unit.say("reported", {"version": 1, "reported": {"interval": 5}})
    assert fresh(command).status in ("sent", "verified")
    unit.say(f"commands/{command.public_id}/result", {"status": "succeeded"})
    assert fresh(command).status == "verified"


@pytest.mark.django_db
def test_a_poll_returns_only_commands_of_the_device_and_its_children() -> None:
    gateway, other = http_unit(kind="gateway"), http_unit()
    child = DeviceFactory.create(
        tenant=gateway.device.tenant,
        kind="child",
        gateway=gateway.device,
        adapter="http",
    )
    gateway.say("heartbeat", {})
    gateway.say(f"child/{child.uid}/status", {"status": "online"})
    other.say("heartbeat", {})
    mine, its = ask_for(gateway), ask(Unit(child))
    theirs = ask_for(other)
    config = ask(Unit(child), "set_config", {"interval": 9})

    answer = gateway.poll()

    shown = {(c["id"], c["device"]) for c in answer["commands"]}
    assert shown == {
        (str(mine.public_id), gateway.device.uid),
        (str(its.public_id), child.uid),
    }
    (desired,) = answer["children_desired"]
    assert desired["device"] == child.uid
    assert desired["command_id"] == str(config.public_id)
    assert fresh(theirs).status == "queued"
    received = {"status": "received"}
    gateway.say(f"child/{child.uid}/commands/{its.public_id}/ack", received)
    assert fresh(its).status == "received"


@pytest.mark.django_db
def test_a_poll_of_an_mqtt_device_is_refused() -> None:
    unit = http_unit(adapter="mqtt")
    unit.say("heartbeat", {})
    command = ask_for(unit)

    answer = unit.client.get("/device/v1/commands/")

    assert answer.status_code == 409
    assert "mqtt" in answer.json()["detail"]
    assert [link.command_id for link in claim()] == [command.public_id]


@pytest.mark.django_db
def test_a_cancelled_command_is_not_sent_and_an_unacknowledged_one_is_sent_again() -> (
    None
):
    unit = http_unit()
    unit.say("status", {"status": "online"})
    gone, kept = ask_for(unit), ask_for(unit)
    cancel_command(command=gone, actor=None, reason="no more")

    assert ids(unit.poll()) == [str(kept.public_id)]

    # Suppose that the device did not get the answer: without an acknowledgement, the
    # command is sent again.
    row = fresh(kept)
    assert row.due_at is not None
    sweep(row.due_at)
    assert fresh(kept).status == "queued"
    Command.objects.filter(pk=kept.pk).update(due_at=timezone.now())
    (again,) = unit.poll()["commands"]
    assert (again["id"], again["attempt"]) == (str(kept.public_id), 2)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["wait", "desired_version"])
@pytest.mark.parametrize("text", ["-1", "x", "1.5", "", "9" * 30, "٣"])
def test_a_bad_query_parameter_is_named(name: str, text: str) -> None:
    answer = http_unit().client.get("/device/v1/commands/", {name: text})

    assert answer.status_code == 400
    assert fields_of(answer) == {name}


@pytest.fixture
def quiet(transactional_db: None) -> Iterator[None]:
    """Polls wait for committed changes; afterwards the checking thread has ended."""
    yield
    wait_until(lambda: not waiters.is_watching, what="the checking thread ends")


def in_thread(call: Callable[[], Any]) -> Any:
    def run() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    return run


def test_a_waiting_poll_is_answered_as_soon_as_a_command_is_due(quiet: None) -> None:
    unit = http_unit()
    unit.say("heartbeat", {})
    took = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            poll = pool.submit(in_thread(lambda: (unit.poll(wait=20), time.time())))
            wait_until(lambda: waiters.count == 1, what="the poll waits")

            asked_at = time.time()
            command = ask_for(unit)

            answer, answered_at = poll.result(timeout=PATIENCE)
            assert ids(answer) == [str(command.public_id)]
            took.append(answered_at - asked_at)
    assert max(took) < 3, took


def test_a_poll_without_commands_ends_after_its_wait(quiet: None) -> None:
    unit = http_unit()
    began = time.monotonic()

    answer = unit.poll(wait=1)

    assert answer["commands"] == []
    assert 0.9 < time.monotonic() - began < 6


def test_waiting_polls_use_no_connection_and_their_number_is_limited(
    quiet: None, settings: Any
) -> None:
    settings.DEVICE_POLLS = 6
    units = [http_unit() for _ in range(6)]
    last = http_unit()
    with ThreadPoolExecutor(6) as pool:
        polls = [
            pool.submit(in_thread(lambda unit=unit: unit.poll(wait=6)))  # type: ignore[misc]
            for unit in units
        ]
        wait_until(lambda: waiters.count == 6, what="all wait")

        # One of the test, one that listens, and for a moment one that checks.
        wait_until(lambda: _connections() <= 3, what="the polls closed theirs")
        began = time.monotonic()
        answer = last.client.get("/device/v1/commands/", {"wait": "30"})

        assert time.monotonic() - began < 5
        assert answer.status_code == 200
        assert answer["Retry-After"] == "5"
        assert [poll.result(timeout=PATIENCE)["commands"] for poll in polls] == [[]] * 6


def test_concurrent_polls_of_a_device_get_each_command_once(
    quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_answer, "MOST_COMMANDS", 5)
    unit = http_unit()
    unit.say("heartbeat", {})
    asked = {str(ask_for(unit).public_id) for _ in range(50)}
    barrier = threading.Barrier(4)

    def poll() -> list[str]:
        barrier.wait()
        found: list[str] = []
        while more := ids(unit.poll()):
            found += more
        return found

    with ThreadPoolExecutor(4) as pool:
        polls = [pool.submit(in_thread(poll)) for _ in range(4)]
        found = [one for each in polls for one in each.result(timeout=PATIENCE)]

    assert len(found) == len(set(found)) == 50
    assert set(found) == asked


def _connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])
