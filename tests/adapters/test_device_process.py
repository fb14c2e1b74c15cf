"""Waiting polls at a real device process, behind the address of a real web process."""

from __future__ import annotations

import select
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from commands.models import Attempt, Command
from registry.device_secrets import make_verifier, new_secret
from registry.models import Credential, Device
from state.models import Presence
from tests.commands.units import Unit, ask, fresh
from tests.device_process import DeviceProcess, WaitingPoll
from tests.factories import DeviceFactory, ProductFactory, SiteFactory, TenantFactory
from tests.waiting import PATIENCE, wait_until
from tests.web_process import web_process

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 500
SECRET = new_secret()
EMPTY: dict[str, Any] = {"commands": [], "desired": None, "children_desired": []}


@pytest.fixture(scope="module")
def process(django_db_setup: None) -> Iterator[DeviceProcess]:
    found = DeviceProcess()
    yield found
    found.close()


@pytest.fixture(scope="module")
def port(process: DeviceProcess) -> Iterator[int]:
    """The port of a web process with two threads, of which one may wait."""
    handover = str(process.handover)
    with web_process(DEVICE_HTTP_SOCKET=handover, DEVICE_POLLS="1") as found:
        yield found


@pytest.fixture
def running(process: DeviceProcess) -> DeviceProcess:
    """A device process that runs, and to which nobody is connected."""
    process.start()
    wait_until(lambda: process.connections() == 0, what="all have left")
    return process


def http_devices(count: int, **fields: Any) -> list[Device]:
    """Devices of one site, all with the same secret."""
    tenant = TenantFactory.create()
    shared = {
        "tenant": tenant,
        "site": SiteFactory.create(tenant=tenant),
        "product": ProductFactory.create(tenant=tenant),
        "adapter": "http",
    }
    devices = Device.objects.bulk_create(
        DeviceFactory.build_batch(count, **(shared | fields))
    )
    verifier = make_verifier(SECRET)
    Credential.objects.bulk_create(
        Credential(tenant=tenant, device=device, verifier=verifier)
        for device in devices
    )
    return list(devices)


def wait_until_they_wait(
    process: DeviceProcess, devices: list[Device], *, connections: int
) -> None:
    """Wait until the polls of these devices are held by the device process."""

    def they_do() -> bool:
        heard = Presence.objects.filter(pk__in=devices, connectivity="online").count()
        return heard == len(devices) and process.connections() >= connections

    wait_until(they_do, what=f"{len(devices)} polls wait")


def heartbeat(port: int, device: Device) -> int:
    url = f"http://127.0.0.1:{port}/device/v1/heartbeat/"
    header = {"Authorization": f"Device {device.uid}:{SECRET}"}
    return requests.post(url, json={}, headers=header, timeout=PATIENCE).status_code


def ids(document: Any) -> list[str]:
    return [command["id"] for command in document["commands"]]


def test_hundreds_of_waiting_polls_leave_the_web_process_free(
    running: DeviceProcess, port: int
) -> None:
    *devices, other = http_devices(MANY + 1)
    polls = [WaitingPoll(port, device.uid, SECRET) for device in devices]
    wait_until_they_wait(running, devices, connections=MANY)

    page = requests.get(f"http://127.0.0.1:{port}/accounts/login/", timeout=PATIENCE)
    assert page.status_code == 200
    assert heartbeat(port, other) == 200
    wanted = {device.uid: ask(Unit(device)) for device in devices[:: MANY // 5]}
    expected = [poll for poll in polls if poll.uid in wanted]
    wait_until(
        lambda: len(select.select(expected, [], [], 0)[0]) == len(expected),
        what="the commands arrive",
    )

    for poll in expected:
        command = wanted[poll.uid]
        status, document = poll.answer()
        assert (status, ids(document)) == (200, [str(command.public_id)])
        assert "connection: close" in poll.head.lower()
        assert fresh(command).status == "sent"
        assert Attempt.objects.get(command=command).adapter == "http"
    rest = [poll for poll in polls if poll.uid not in wanted]
    assert select.select(rest, [], [], 0)[0] == []

    # A stop answers the others, and then ends.
    assert running.send(signal.SIGTERM) == 0, running.log()
    assert [poll.answer() for poll in rest] == [(200, EMPTY)] * len(rest)


def test_a_killed_device_process_loses_no_command(
    running: DeviceProcess, port: int
) -> None:
    first, second = http_devices(2)
    poll = WaitingPoll(port, first.uid, SECRET)
    wait_until_they_wait(running, [first], connections=1)

    running.send(signal.SIGKILL)

    assert poll.answer() == (0, None)
    # The web process lets one poll wait itself, and has a thread left.
    poll = WaitingPoll(port, first.uid, SECRET)
    assert heartbeat(port, second) == 200
    command = ask(Unit(first))
    assert ids(poll.answer()[1]) == [str(command.public_id)]
    running.start()
    assert heartbeat(port, second) == 200
    later = ask(Unit(second))
    poll = WaitingPoll(port, second.uid, SECRET)
    assert ids(poll.answer()[1]) == [str(later.public_id)]


def test_the_device_process_refuses_as_the_view_does(
    running: DeviceProcess, port: int
) -> None:
    (device,) = http_devices(1)
    (other,) = http_devices(1, adapter="mqtt")

    for address in (port, running.port):
        for query, fields in (
            ("wait=61", ["wait"]),
            ("wait=x", ["wait"]),
            ("wait=1&wait=x", ["wait"]),
            ("wait=1&desired_version=-1", ["desired_version"]),
            ("wait=1&wiat=1", ["wiat"]),
        ):
            status, document = WaitingPoll(
                address, device.uid, SECRET, query=query
            ).answer()
            assert status == 400, query
            assert [row["field"] for row in document["errors"]] == fields
        assert WaitingPoll(address, device.uid, "wrong").answer()[0] == 401
        assert WaitingPoll(address, other.uid, SECRET).answer()[0] == 409
        assert WaitingPoll(address, device.uid, SECRET, query="").answer() == (
            200,
            EMPTY,
        )


def test_the_latest_of_two_polls_of_a_device_gets_its_command(
    running: DeviceProcess, port: int
) -> None:
    """The connection of the earlier one may be dead, and nobody knows yet."""
    (device,) = http_devices(1)
    polls = []
    for waiting in (1, 2):
        polls.append(WaitingPoll(running.port, device.uid, SECRET))
        wait_until_they_wait(running, [device], connections=waiting)

    command = ask(Unit(device))

    assert ids(polls[1].answer()[1]) == [str(command.public_id)]
    assert running.send(signal.SIGTERM) == 0
    assert polls[0].answer() == (200, EMPTY)
    assert Command.objects.get().attempt_count == 1


def test_messages_and_configuration_at_the_device_process(
    running: DeviceProcess,
) -> None:
    (device,) = http_devices(1)
    base = f"http://127.0.0.1:{running.port}/device/v1"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Device {device.uid}:{SECRET}"
        session.headers["X_Forwarded_Proto"] = "https"  # no proxy's header: ignored
        bad: Any = [{"metrics": {"temperature": 20}}, {"metrics": 5}]
        answer = session.post(f"{base}/telemetry/", json=bad)
        assert (answer.status_code, answer.json()["taken"]) == (400, 1)
        parts = iter([b'{"version": 1, ', b'"reported": {"interval": 9}}'])
        answer = session.post(f"{base}/reported/", data=parts)  # in chunks
        assert answer.json() == {"taken": 1}
        long = session.post(f"{base}/heartbeat/", data=b" " * (8 * 1024 * 1024 + 1))
        assert long.status_code == 413
        command = ask(Unit(device), "set_config", {"interval": 5})
        desired = session.get(f"{base}/commands/?wait=5").json()["desired"]
        assert desired["command_id"] == str(command.public_id)
        again = session.get(f"{base}/commands/?wait=5&desired_version=0").json()
        assert again["desired"]["desired"] == {"interval": 5}
        assert session.get(f"{base}/nothing/").status_code == 404
        assert session.get(f"http://127.0.0.1:{running.port}/").status_code == 404
        strange = session.get(f"{base}/commands/", headers={"Host": "elsewhere"})
        assert strange.status_code == 400
