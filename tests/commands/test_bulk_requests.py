"""One command for many devices: each has its own key, the queries do not grow."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.models import Command, CommandEvent
from commands.services.bulk_requests import Answer, BulkRequest, request_commands
from commands.services.commands import request_command
from registry.choices import Lifecycle
from registry.models import Device, Tenant
from state.models import Twin
from tests.commands.units import now, online_unit
from tests.factories import (
    DeviceFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Tenant:
    made: Tenant = TenantFactory.create(slug="acme")
    return made


def devices_of(tenant: Tenant, number: int, **fields: Any) -> list[Device]:
    same = {
        "site": SiteFactory.create(tenant=tenant),
        "product": ProductFactory.create(tenant=tenant),
    }
    made = DeviceFactory.create_batch(number, tenant=tenant, **(same | fields))
    return list(made)


def ask(
    devices: list[Device], name: str = "reboot", **params: Any
) -> dict[int, Answer]:
    return request_commands(
        BulkRequest(
            tenant=devices[0].tenant,
            keys={device.pk: f"key:{device.uid}" for device in devices},
            name=name,
            params=params,
            policy=None,
            actor=None,
            cause="requested by a test",
            now=now(),
        )
    )


def test_each_device_gets_one_command_however_often_it_is_asked(acme: Tenant) -> None:
    devices = devices_of(acme, 3)

    first = ask(devices[:2])
    again = ask(devices)

    assert {pk: again[pk] for pk in first} == first
    assert Command.objects.count() == 3
    assert (
        CommandEvent.objects.filter(cause__startswith="requested by a test").count()
        == 3
    )


def test_the_key_is_that_of_a_request_for_one_device(acme: Tenant) -> None:
    (device,) = devices_of(acme, 1)
    command, _ = request_command(
        device=device,
        name="reboot",
        params={},
        policy=None,
        idempotency_key=f"key:{device.uid}",
        actor=None,
    )

    assert ask([device])[device.pk].command == command.public_id
    assert "another request" in ask([device], delay_seconds=3)[device.pk].refusal


def test_a_refusal_of_one_device_hinders_no_other(acme: Tenant) -> None:
    unit = online_unit(tenant=acme)
    (offline,) = devices_of(acme, 1)
    (retired,) = devices_of(acme, 1, lifecycle=Lifecycle.RETIRED)
    deaf = ProductFactory.create(tenant=acme, takes_commands=False)
    (telemetry_only,) = devices_of(acme, 1, product=deaf)
    stranger = DeviceFactory.create()

    answers = ask([unit.device, offline, retired, telemetry_only, stranger], "identify")

    assert answers[unit.device.pk].command == Command.objects.get().public_id
    refusals = [answers[d.pk].refusal for d in (offline, retired, telemetry_only)]
    assert "needs an online device" in refusals[0]
    assert "takes no commands" in refusals[1]
    assert "telemetry only" in refusals[2]
    assert "no device of this tenant" in answers[stranger.pk].refusal


def test_wrong_parameters_are_refused_for_all(acme: Tenant) -> None:
    devices = devices_of(acme, 2)

    answers = ask(devices, "reboot", speed=3)

    assert all(answer.refusal for answer in answers.values())
    assert not Command.objects.exists()


def test_configuration_is_merged_and_one_too_large_document_hinders_no_other(
    acme: Tenant,
) -> None:
    devices = devices_of(acme, 4)
    ask(devices[:1], "set_config", big="x" * 3_500)
    first = Twin.objects.filter(device=devices[0])
    first.update(desired={"big": ["x" * 3_500] * 2})

    answers = {
        device.uid: answer
        for device, answer in zip(
            devices, _config(devices, more="y" * 3_500), strict=True
        )
    }

    refused = [uid for uid, answer in answers.items() if answer.refusal]
    assert refused == [devices[0].uid]
    assert Twin.objects.filter(desired__more__isnull=False).count() == 3


def _config(devices: list[Device], **patch: Any) -> list[Answer]:
    answers = request_commands(
        BulkRequest(
            tenant=devices[0].tenant,
            keys={device.pk: f"config:{device.uid}" for device in devices},
            name="set_config",
            params=patch,
            policy=None,
            actor=None,
            cause="requested by a test",
            now=now(),
        )
    )
    return [answers[device.pk] for device in devices]


def test_the_number_of_queries_does_not_grow_with_the_devices(acme: Tenant) -> None:
    def queries_for(number: int) -> int:
        devices = devices_of(acme, number)
        with CaptureQueriesContext(connection) as asked:
            ask(devices)
        return len(asked)

    assert queries_for(30) == queries_for(2)
