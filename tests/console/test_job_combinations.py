"""The wizard asks for the allowed combinations of a gateway with its children."""

from __future__ import annotations

from typing import Any

import pytest

from commands.models import Job, JobWave
from tests.console.conftest import Fleet
from tests.console.test_job_wizard import CONFIG, WAVES, hidden, step
from tests.fleet.rows import make_presence, make_twin

pytestmark = pytest.mark.django_db


def add_system(fleet: Fleet, uid: str, *, children: int) -> list[str]:
    gateway = fleet.add(uid, kind="gateway")
    others = [
        fleet.add(f"{uid}-{number}", gateway=gateway, kind="child")
        for number in range(children)
    ]
    for device in (gateway, *others):
        make_presence(device)
        make_twin(device, firmware="1.0")
    return [device.uid for device in (gateway, *others)]


def update_of(uids: list[str], **rollout: str) -> dict[str, Any]:
    command = {"command": "update_firmware", "update_firmware-version": "2.0"}
    return {"device": uids} | WAVES | rollout | command


def test_a_gateway_and_its_children_are_updated_over_allowed_combinations(
    acme: Fleet,
) -> None:
    client = acme.client()
    wanted = update_of(add_system(acme, "gw-1", children=1), canary="0")
    lines = "1.0 with 1.0\n2.0 with 1.0\n\n2.0 with 2.0"

    wrong = step(client, "confirm", **wanted, combinations="2.0 and 1.0")
    twice = step(client, "confirm", **wanted, combinations="1.0 with 1\n1.0 with 1")
    page = step(client, "confirm", **wanted, combinations=lines)
    step(client, "launch", **hidden(page), name="Both")
    other = step(client, "waves", **wanted | CONFIG, combinations=lines)

    assert (wrong.status_code, twice.status_code) == (422, 422)
    assert "as 2.0 with 1.9." in wrong.context["rollout"].errors["combinations"][0]
    assert "is twice" in twice.context["rollout"].errors["combinations"][0]
    text = page.content.decode()
    assert "1.0 with 1.0, 2.0 with 1.0, 2.0 with 2.0" in text
    assert "1 child device waits for its gateway" in text
    job = Job.objects.get()
    assert [each["gateway"] for each in job.rollout["combinations"]] == [
        "1.0",
        "2.0",
        "2.0",
    ]
    shown = client.get(f"/jobs/{job.public_id}/").content.decode()
    assert "1.0 with 1.0, 2.0 with 1.0, 2.0 with 2.0" in shown
    assert 'name="combinations"' not in other.content.decode()


def test_a_job_has_the_waves_that_were_confirmed(acme: Fleet) -> None:
    client = acme.client()
    uids = [u for n in range(5) for u in add_system(acme, f"gw-{n}", children=2)]
    lines = "1.0 with 1.0\n2.0 with 1.0\n2.0 with 2.0"

    page = step(client, "confirm", **update_of(uids), combinations=lines)
    step(client, "launch", **hidden(page), name="Both")

    waves = page.context["preview"]["waves"]
    sizes = JobWave.objects.order_by("number").values_list("size", flat=True)
    assert [wave["size"] for wave in waves] == list(sizes)
