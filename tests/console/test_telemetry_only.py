"""A product that takes no commands: no page or API offers or accepts one."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from commands.models import Command, Job, JobTarget
from registry.choices import Role
from registry.models import Device, Product
from tests.console.conftest import Fleet
from tests.console.test_job_wizard import CONFIG, confirm_page, hidden, step
from tests.factories import ProductFactory
from tests.fleet.rows import make_presence

pytestmark = pytest.mark.django_db

API = "/api/v1/"


@pytest.fixture
def silent(acme: Fleet) -> Product:
    """A product that only sends telemetry, with one online device."""
    product: Product = ProductFactory.create(
        tenant=acme.tenant, slug="probe-p1", takes_commands=False
    )
    make_presence(acme.add("probe-1", product=product))
    acme.settle()
    return product


@pytest.fixture
def rest(acme: Fleet) -> APIClient:
    client = APIClient()
    client.force_authenticate(acme.person(Role.OPERATOR))
    return client


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "commands/", {"device": "probe-1", "name": "reboot", "params": {}}),
        ("post", "commands/", {"device": "probe-1", "name": "identify", "params": {}}),
        ("patch", "devices/probe-1/desired/", {"interval": 30}),
    ],
)
def test_the_api_refuses_a_command_with_the_reason(
    rest: APIClient, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = getattr(rest, method)(
        f"{API}{path}", body, format="json", headers={"Idempotency-Key": "k"}
    )

    assert answer.status_code == 409, answer.content
    assert "takes no commands (telemetry only)" in answer.json()["detail"]
    assert not Command.objects.exists()


def test_an_earlier_command_is_not_retried(
    acme: Fleet, rest: APIClient, silent: Product
) -> None:
    Product.objects.update(takes_commands=True)
    command = acme.command(Device.objects.get(uid="probe-1"))
    path, body = f"{API}commands/{command.public_id}/", {"reason": "x"}
    rest.post(f"{path}cancel/", body, format="json")
    Product.objects.filter(pk=silent.pk).update(takes_commands=False)

    answer = rest.post(f"{path}retry/", body, format="json")

    assert answer.status_code == 409, answer.content
    assert Command.objects.get().status == "cancelled"


@pytest.mark.usefixtures("silent")
def test_a_job_created_by_the_api_leaves_the_device_out_with_the_reason(
    rest: APIClient,
) -> None:
    body = {
        "name": "Night reboot",
        "devices": ["probe-1", "sh-1"],
        "command": {"name": "reboot", "params": {}},
        "rollout": {},
    }
    answer = rest.post(
        f"{API}jobs/", body, format="json", headers={"Idempotency-Key": "k"}
    )

    assert answer.status_code == 201, answer.content
    reasons = dict(JobTarget.objects.values_list("device__uid", "skip_reason"))
    assert reasons == {"probe-1": "its product takes no commands", "sh-1": ""}


@pytest.mark.usefixtures("silent")
def test_the_console_offers_and_accepts_no_commands(acme: Fleet) -> None:
    client = acme.client()

    page = client.get("/devices/probe-1/")
    sent = client.post("/devices/probe-1/commands/", {"command": "reboot"})

    assert not page.context["sends"]
    assert "The product probe-p1 takes no commands." in page.content.decode()
    assert sent.status_code == 409
    assert "takes no commands" in sent.content.decode()
    assert not Command.objects.exists()


@pytest.mark.usefixtures("silent")
def test_the_wizard_leaves_the_device_out_before_anything_is_sent(acme: Fleet) -> None:
    client = acme.client()
    target = {"q": "*", "device": ["probe-1", "sh-1"]}

    scope = step(client, "scope", **target, **CONFIG)
    page = confirm_page(client, **target)
    step(client, "launch", **hidden(page), name="two")

    assert "its product takes no commands" in scope.content.decode()
    job = Job.objects.get()
    reasons = dict(
        JobTarget.objects.filter(job=job).values_list("device__uid", "skip_reason")
    )
    assert reasons == {"probe-1": "its product takes no commands", "sh-1": ""}
    uids = Command.objects.values_list("device__uid", flat=True)
    assert "probe-1" not in uids
