"""Revocation: disconnect and refuse a device at once; many changes need one reload."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from django.db import connections

from registry.device_secrets import make_verifier
from registry.models import Credential, Device, Tenant
from registry.services.credentials import (
    BATCH,
    import_verifiers,
    issue_credential,
    revoke_credential,
    withdraw_credential,
)
from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto
from tests.factories import DeviceFactory, ProductFactory, SiteFactory, TenantFactory
from tests.local.follower import follow
from tests.local.raw_mqtt import RawClient, can_connect
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
DISCONNECTED_WITHIN = 5.0


@pytest.fixture
def followed(settings: Any, transactional_db: None) -> Iterator[BrokerProcess]:
    """Mosquitto, and the process that writes its files, as in production."""
    need_mosquitto()
    settings.BROKER_CREDENTIALS = "files"
    process = BrokerProcess()
    process.start()
    follower = follow(process.folder, listener=f"127.0.0.1:{process.port}")
    files = process.folder / "devices.passwd"
    wait_until(lambda: "@probe" in files.read_text(), what="it follows")
    yield process
    follower.terminate()
    assert follower.wait(timeout=PATIENCE) == 0
    process.stop()


def many_devices(tenant: Tenant, count: int) -> list[Device]:
    site, product = SiteFactory(tenant=tenant), ProductFactory(tenant=tenant)
    rows = [
        Device(tenant=tenant, site=site, product=product, uid=f"many-{number:06d}")
        for number in range(count)
    ]
    return Device.objects.bulk_create(rows, batch_size=BATCH)


def test_a_revoked_device_is_disconnected_and_refused(
    followed: BrokerProcess, is_long: bool, counted: Counter[str]
) -> None:
    trials = 100 if is_long else 10
    tenant = TenantFactory()
    bystanders = fill_file(tenant) if is_long else []
    took, refused = [], 0
    with ThreadPoolExecutor(1) as pool:
        for number in range(trials):
            device = DeviceFactory(tenant=tenant, uid=f"trial-{number}")
            issued = issue_credential(device)
            who = (followed.port, device.uid.encode(), issued.secret.encode())
            client = RawClient(*who)
            assert client.is_accepted
            revoked_at = time.monotonic()
            answered = pool.submit(in_thread, issued.credential)
            assert client.closed_within(DISCONNECTED_WITHIN) is not None, number
            took.append(time.monotonic() - revoked_at)
            answered.result(timeout=DISCONNECTED_WITHIN)
            refused += not can_connect(*who)

    assert refused == trials
    assert max(took) < DISCONNECTED_WITHIN
    counted[
        f"revoked credentials disconnected and refused, of {trials}, beside"
        f" {len(bystanders)} other lines of the file: after"
        f" {median(took):.3f} s in the median, {max(took):.3f} s at most"
    ] += refused


def in_thread(credential: Credential) -> None:
    try:
        withdraw_credential(credential)
    finally:
        connections.close_all()


@pytest.fixture
def hups(tmp_path: Path) -> Iterator[Path]:
    """A file in which a process in place of the broker counts its reload signals."""
    file = tmp_path / "hups"
    file.touch()
    broker = subprocess.Popen(
        [sys.executable, "-c", COUNTS_HUPS, str(file)], stdin=subprocess.PIPE
    )
    wait_until(lambda: file.read_text() == "ready ", what="it counts")
    (tmp_path / "broker.pid").write_text(str(broker.pid))
    yield file
    broker.kill()
    broker.wait()


@pytest.fixture
def follower(
    tmp_path: Path, hups: Path, transactional_db: None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process that writes the files, after it has written them once."""
    process = follow(tmp_path, listener="", pid_file=str(tmp_path / "broker.pid"))
    wait_until(lambda: reloads(hups) >= 1, what="the first files")
    yield process
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0


def change(rows: list[Device], *, a_second: int = 0) -> float:
    """Issue a credential to each device, and revoke every second one.

    Limit the rate to ``a_second``; 0 means no limit. Return the changes per second.
    """
    began = time.monotonic()
    for number, device in enumerate(rows):
        issued = issue_credential(device).credential
        if number % 2:
            revoke_credential(issued)
        if a_second:
            time.sleep(max(0.0, began + number / a_second - time.monotonic()))
    return len(rows) * 1.5 / (time.monotonic() - began)


def test_collected_changes_need_one_reload(
    tmp_path: Path, hups: Path, follower: subprocess.Popen[bytes]
) -> None:
    rows = many_devices(TenantFactory(), 100)
    follower.send_signal(signal.SIGSTOP)
    before = reloads(hups)
    change(rows)
    assert reloads(hups) == before

    follower.send_signal(signal.SIGCONT)

    wanted = {device.uid for device in rows[::2]}
    wait_until(lambda: uids_in(tmp_path) == wanted, what="the files are up to date")
    # Two, if it was stopped between reading the changes and the reload.
    assert reloads(hups) - before <= 2


def test_a_hundred_changes_per_second_need_few_reloads(
    tmp_path: Path,
    hups: Path,
    follower: subprocess.Popen[bytes],
    counted: Counter[str],
) -> None:
    rows = many_devices(TenantFactory(), 400)
    before, began = reloads(hups), time.monotonic()
    rate = change(rows, a_second=100)
    wanted = {device.uid for device in rows[::2]}
    wait_until(lambda: uids_in(tmp_path) == wanted, what="the files are up to date")
    a_second = (reloads(hups) - before) / (time.monotonic() - began)

    # On a fast or slow machine alike.
    assert a_second <= 3.5
    counted[f"changes of credentials a second, in {a_second:.1f} reloads"] += int(rate)


COUNTS_HUPS = """
import signal, sys
def note(word):
    with open(sys.argv[1], "a") as file:
        file.write(word)
signal.signal(signal.SIGHUP, lambda *_: note("hup "))
note("ready ")
sys.stdin.read()
"""


def reloads(hups: Path) -> int:
    return hups.read_text().count("hup")


def uids_in(folder: Path) -> set[str]:
    lines = (folder / "devices.passwd").read_text().splitlines()
    return {line.partition(":")[0] for line in lines} - {"@probe"}


@pytest.mark.long
def test_with_a_hundred_thousand_lines_a_new_secret_works_within_seconds(
    followed: BrokerProcess, counted: Counter[str]
) -> None:
    tenant = TenantFactory()
    rows = fill_file(tenant)
    assert can_connect(followed.port, rows[-1].uid.encode(), b"secret")

    began = time.monotonic()
    device = DeviceFactory(tenant=tenant)
    issued = issue_credential(device)
    issuing = time.monotonic() - began
    who = (followed.port, device.uid.encode(), issued.secret.encode())
    client = RawClient(*who)
    began = time.monotonic()
    withdraw_credential(issued.credential)
    assert client.closed_within(DISCONNECTED_WITHIN) is not None
    revoking = time.monotonic() - began

    assert not can_connect(*who)
    counted[
        f"lines in the password file: a secret is good after {issuing:.1f} s,"
        f" and a revoked one out after {revoking:.1f} s"
    ] += len(rows)


def fill_file(tenant: Tenant) -> list[Device]:
    """Write as many lines to the password file as this way supports.

    All have the secret "secret", and share one verifier because making one is slow.
    """
    rows = many_devices(tenant, 100_000)
    verifier = make_verifier("secret")
    import_verifiers(tenant=tenant, verifiers={row.pk: verifier for row in rows})
    wait_until(all_published, every=0.5, what="all are published")
    return rows


def all_published() -> bool:
    missing = Credential.objects.filter(published_at__isnull=True)
    return not missing.exists()
