"""`manage.py mosquitto_files`: the broker knows exactly the registry's credentials."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone

from iotplatform.adapters.mqtt.credential_files import DeviceFiles, may_connect
from iotplatform.management.commands.mosquitto_files import synchronise
from registry.device_secrets import make_verifier
from registry.models import Credential, Device
from registry.selectors.credentials import BrokerLine
from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto
from tests.factories import DeviceFactory
from tests.local.follower import follow
from tests.waiting import PATIENCE, wait_until

SECRET = "secret"


@pytest.fixture(scope="module", params=["mosquitto", "amqtt"])
def running(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    need_mosquitto()
    process = BrokerProcess(is_stand_in=request.param == "amqtt")
    process.start()
    yield process
    process.stop()


def files_of(process: BrokerProcess) -> DeviceFiles:
    pid_file = process.folder / "broker.pid"
    return DeviceFiles(process.folder, pid_file, ("127.0.0.1", process.port))


def lines_for(*uids: str) -> list[BrokerLine]:
    return [BrokerLine(uid, make_verifier(SECRET), 1) for uid in uids]


def can_connect(process: BrokerProcess, uid: str) -> bool:
    return may_connect(("127.0.0.1", process.port), uid, SECRET)


def credential_of(device: Device) -> Credential:
    return Credential.objects.create(
        tenant=device.tenant, device=device, verifier=make_verifier(SECRET)
    )


def test_a_device_can_connect_as_soon_as_its_line_is_published(
    running: BrokerProcess,
) -> None:
    files = files_of(running)
    for number in range(5):
        uid = f"new-{number}"
        assert not can_connect(running, uid)

        assert files.publish(lines_for(uid))

        assert can_connect(running, uid)


def test_a_device_without_a_line_is_refused(running: BrokerProcess) -> None:
    files = files_of(running)
    files.publish(lines_for("stays", "goes"))

    files.publish(lines_for("stays"))

    assert can_connect(running, "stays")
    assert not can_connect(running, "goes")


def test_unchanged_lines_are_not_written_again(
    running: BrokerProcess,
) -> None:
    files = files_of(running)
    lines = lines_for("same")
    files.publish(lines)
    before = (running.folder / "devices.passwd").stat()

    files.publish(lines)

    after = (running.folder / "devices.passwd").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_the_broker_may_read_the_file(running: BrokerProcess) -> None:
    files_of(running).publish(lines_for("dev-1"))

    file = (running.folder / "devices.passwd").stat()
    assert file.st_mode & 0o777 == 0o600
    assert file.st_uid == running.folder.stat().st_uid


def test_nothing_counts_as_published_while_the_broker_is_down() -> None:
    need_mosquitto()
    process = BrokerProcess()
    files = files_of(process)
    lines = lines_for("early")

    assert not files.publish(lines)

    process.start()
    wait_until(lambda: files.publish(lines), what="the broker has it")
    assert can_connect(process, "early")
    process.stop()


def test_an_old_pid_file_sends_no_signal_to_another_process() -> None:
    need_mosquitto()
    process = BrokerProcess()
    pid_file = process.folder / "broker.pid"
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    pid_file.write_text(str(bystander.pid))
    os.utime(pid_file, (0, 0))  # long before this process started

    assert not files_of(process).publish(lines_for("dev-1"))

    assert bystander.poll() is None  # SIGHUP would have ended it
    bystander.kill()
    bystander.wait()
    process.stop()


@pytest.mark.django_db
def test_credentials_are_marked_when_the_broker_has_loaded_and_dropped_them(
    running: BrokerProcess,
) -> None:
    kept, revoked = (
        credential_of(DeviceFactory.create()),
        credential_of(DeviceFactory.create()),
    )
    files, published = files_of(running), set[int]()

    assert synchronise(files, published)
    for credential in (kept, revoked):
        credential.refresh_from_db()
        assert credential.published_at
    Credential.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    assert synchronise(files, published)

    for credential in (kept, revoked):
        credential.refresh_from_db()
    assert kept.withdrawn_at is None
    assert revoked.withdrawn_at
    assert can_connect(running, kept.device.uid)
    assert not can_connect(running, revoked.device.uid)


@pytest.mark.django_db(transaction=True)
def test_the_command_follows_the_registry_until_it_is_stopped(
    running: BrokerProcess,
) -> None:
    address = f"127.0.0.1:{running.port}"
    follower = follow(running.folder, listener=address)

    first = credential_of(DeviceFactory.create())
    wait_until(lambda: _is_published(first), what="the first credential")
    assert can_connect(running, first.device.uid)
    second = credential_of(DeviceFactory.create())
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY registry_credentials")

    # Sooner than its next regular check.
    wait_until(lambda: _is_published(second), seconds=1.8, what="the second one")
    follower.terminate()
    assert follower.wait(timeout=PATIENCE) == 0


def _is_published(credential: Credential) -> bool:
    return Credential.objects.filter(
        pk=credential.pk, published_at__isnull=False
    ).exists()
