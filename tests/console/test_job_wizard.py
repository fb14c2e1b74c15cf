"""From devices to a job: four steps, nothing made before the last, no surprise."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from commands.models import Command, Job, JobTarget
from registry.choices import Lifecycle, Role
from tests.console.conftest import Fleet
from tests.fleet.rows import make_presence

pytestmark = pytest.mark.django_db

WAVES = {
    "canary": "1",
    "wave_size": "2",
    "soak_seconds": "0",
    "rate_per_minute": "",
    "failure_percent": "20",
    "success_percent": "80",
    "min_ended": "10",
    "offline": "wait",
    "deadline_hours": "24",
}
CONFIG = {"command": "set_config", "set_config-params": '{"interval": 30}'}


def step(client: Client, asked: str, /, **fields: Any) -> Any:
    return client.post("/jobs/new/", {"step": asked} | fields)


def hidden(answer: Any) -> dict[str, Any]:
    """What a page carries on to the next step."""
    fields: dict[str, Any] = {}
    for name, value in answer.context["carried"]:
        fields.setdefault(name, []).append(value)
    return fields


def confirm_page(client: Client, **target: Any) -> Any:
    return step(client, "confirm", **target, **CONFIG, **WAVES)


def test_all_matches_become_a_job_that_runs(acme: Fleet) -> None:
    client = acme.client()

    page = confirm_page(client, q="site:shanghai-01", all="1")
    answer = step(client, "launch", **hidden(page), name="Interval 30 s")

    job = Job.objects.get()
    assert answer["Location"] == f"/jobs/{job.public_id}/"
    assert job.status == "running"
    assert job.cohort.query == "site:shanghai-01"
    assert job.cohort.target_hash == page.context["preview"]["target_hash"]
    assert job.params == {"interval": 30}
    assert job.rollout["wave_size"] == 2
    assert JobTarget.objects.filter(job=job).count() == 3


def test_ticked_devices_only(acme: Fleet) -> None:
    client = acme.client()

    page = confirm_page(client, q="*", device=["sh-1", "sh-2"])
    step(client, "launch", **hidden(page), name="two")

    uids = JobTarget.objects.values_list("device__uid", flat=True)
    assert sorted(uids) == ["sh-1", "sh-2"]


def test_the_scope_says_who_is_left_out_and_who_is_away(acme: Fleet) -> None:
    acme.add("sh-9", lifecycle=Lifecycle.IN_REPAIR)
    acme.settle()

    page = step(acme.client(), "scope", q="site:shanghai-01", **CONFIG)

    figures = {row["label"]: row["value"] for row in page.context["preview"]["figures"]}
    assert figures["devices in the set"] == 4
    assert figures["will get it"] == 3
    assert figures["not online now"] == 1
    assert figures["left out"] == 1
    text = page.content.decode()
    assert "is in repair: only active devices join jobs" in text
    assert "3 of 4" in text
    assert not Job.objects.exists()


def test_parameters_that_are_no_json_come_back_with_what_was_typed(
    acme: Fleet,
) -> None:
    wrong = {"command": "set_config", "set_config-params": '{"interval": }'}

    page = step(acme.client(), "scope", q="*", **wrong)

    assert page.status_code == 422
    text = page.content.decode()
    assert "This is not JSON" in text
    assert "{&quot;interval&quot;: }" in text


def test_a_missing_parameter_is_named(acme: Fleet) -> None:
    page = step(acme.client(), "scope", q="*", command="update_firmware")

    assert page.status_code == 422
    assert page.context["step"] == "command"
    assert "This field is required." in page.content.decode()


def test_waves_that_make_no_sense_come_back(acme: Fleet) -> None:
    fields = CONFIG | WAVES | {"wave_size": "0", "failure_percent": "120"}

    page = step(acme.client(), "confirm", q="*", **fields)

    assert page.status_code == 422
    assert page.context["step"] == "waves"
    assert set(page.context["rollout"].errors) == {"wave_size", "failure_percent"}


def test_a_set_that_moved_is_shown_with_its_difference_and_nothing_is_sent(
    acme: Fleet,
) -> None:
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")
    make_presence(acme.add("sh-8", site=acme.devices[0].site))
    acme.settle()

    answer = step(client, "launch", **hidden(page), name="Interval 30 s")

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "What you looked at no longer holds." in text
    assert "sh-8" in text
    assert not Job.objects.exists()
    again = step(client, "launch", **hidden(answer), name="Interval 30 s")
    assert again.status_code == 302
    assert Job.objects.get().cohort.target_count == 4


def test_many_devices_want_their_number_typed(acme: Fleet, monkeypatch: Any) -> None:
    monkeypatch.setattr("console.views.wizard.TYPED_ABOVE", 2)
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")

    wrong = step(client, "launch", **hidden(page), name="x", typed_count="2")
    right = step(client, "launch", **hidden(page), name="x", typed_count="3")

    assert wrong.status_code == 422
    assert "It goes to 3 devices, not to 2." in wrong.content.decode()
    assert right.status_code == 302
    assert Job.objects.count() == 1


def test_a_second_click_makes_no_second_job(acme: Fleet) -> None:
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")

    first = step(client, "launch", **hidden(page), name="x")
    second = step(client, "launch", **hidden(page), name="x")

    assert first["Location"] == second["Location"]
    assert Job.objects.count() == 1


def test_a_cohort_leads_to_a_job(acme: Fleet) -> None:
    client = acme.client()
    saved = client.post("/cohorts/", {"name": "unstable", "q": "disconnects_72h:>=5"})
    cohort_id = saved["Location"].split("/")[2]

    first = client.get("/jobs/new/", {"cohort": cohort_id})
    page = confirm_page(client, cohort=cohort_id)
    step(client, "launch", **hidden(page), name="x")

    assert "cohort “unstable”" in first.content.decode()
    assert Job.objects.get().cohort.target_count == 3


@pytest.mark.parametrize(
    "target",
    [{}, {"q": "firmwar:1"}, {"q": "uid:none-like-this"}, {"device": ["nobody"]}],
)
def test_no_target_leads_back_to_the_fleet_with_a_word(
    acme: Fleet, target: dict[str, Any]
) -> None:
    answer = acme.client().post("/jobs/new/", target)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/fleet/")


def test_another_tenants_devices_cannot_be_named(acme: Fleet, globex: Fleet) -> None:
    client = acme.client(Role.ADMIN)

    page = confirm_page(client, device=["gx-0"])
    forged = step(client, "launch", device="gx-0", name="x", **CONFIG, **WAVES)

    assert page.status_code == forged.status_code == 302
    assert not Job.objects.exists()
    assert not Command.objects.exists()
