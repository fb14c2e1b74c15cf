"""Several sweeps and a bridge work on the same alarms: each is raised once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from registry.models import Device
from state.models import Alarm, AlarmChange, HeldAlarm
from state.services.alarms import held_back
from state.services.alarms.held_back import raise_held_back_across_tenants
from tests.factories import DeviceFactory, ProductFactory
from tests.state.scene import arrive, t, uplink
from tests.state.test_alarm_rules import rule_for
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
DEVICES, SWEEPS = 60, 4


@pytest.fixture
def warm() -> list[Device]:
    """Return devices with a hold time of a minute that are warm since t(0)."""
    product = ProductFactory()
    devices = [
        DeviceFactory.create(tenant=product.tenant, product=product)
        for _ in range(DEVICES)
    ]
    rule_for(devices[0], hold_seconds=60)
    measured: dict[str, Any] = {"metrics": {"temperature": 90.0}}
    arrive(*[uplink(device, "telemetry", t(0), **measured) for device in devices])
    assert HeldAlarm.objects.count() == DEVICES
    return devices


def test_parallel_sweeps_raise_each_alarm_once(
    warm: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        held_back, "BATCH", 5
    )  # many transactions, so that they collide

    def sweep(_: int) -> int:
        try:
            return raise_held_back_across_tenants(now=t(2))
        finally:
            connection.close()

    with ThreadPoolExecutor(SWEEPS) as threads:
        raised = list(threads.map(sweep, range(SWEEPS)))

    assert sum(raised) + raise_held_back_across_tenants(now=t(2)) == DEVICES
    assert {alarm.device for alarm in Alarm.objects.all()} == set(warm)
    assert Alarm.objects.count() == AlarmChange.objects.count() == DEVICES
    assert not HeldAlarm.objects.exists()


def test_rows_locked_by_a_bridge_are_skipped_and_cleared_alarms_are_not_raised(
    warm: list[Device],
) -> None:
    cool, others = warm[0], warm[1:]

    def sweep() -> int:
        try:
            return raise_held_back_across_tenants(now=t(2))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            arrive(uplink(cool, "telemetry", t(2), metrics={"temperature": 20.0}))
            future = threads.submit(sweep)
            wait_until(future.done, what="the sweep waits for nobody")
        assert future.result() == len(others)

    assert raise_held_back_across_tenants(now=t(3)) == 0
    assert {alarm.device for alarm in Alarm.objects.all()} == set(others)
