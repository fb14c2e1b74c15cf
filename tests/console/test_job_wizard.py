"""The job wizard: four steps, and nothing is created before the last one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from commands.models import Command, Job, JobTarget
from fleet.selectors import search
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
    """The hidden fields of a page for the next step."""
    fields: dict[str, Any] = {}
    for name, value in answer.context["carried"]:
        fields.setdefault(name, []).append(value)
    return fields


def confirm_page(client: Client, **target: Any) -> Any:
    return step(client, "confirm", **target, **CONFIG, **WAVES)


def test_all_matches_become_a_running_job(acme: Fleet) -> None:
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


def test_only_ticked_devices_get_the_job(acme: Fleet) -> None:
    client = acme.client()

    page = confirm_page(client, q="*", device=["sh-1", "sh-2"])
    step(client, "launch", **hidden(page), name="two")

    uids = JobTarget.objects.values_list("device__uid", flat=True)
    assert sorted(uids) == ["sh-1", "sh-2"]


def test_the_preview_counts_devices_that_are_left_out_or_offline(acme: Fleet) -> None:
    acme.add("sh-9", lifecycle=Lifecycle.IN_REPAIR)
    acme.settle()

    page = step(acme.client(), "scope", q="site:shanghai-01", **CONFIG)

    figures = {row["label"]: row["value"] for row in page.context["preview"]["figures"]}
    assert figures["match"] == 4
    assert figures["receive it"] == 3
    assert figures["not online now"] == 1
    assert figures["left out"] == 1
    text = page.content.decode()
    assert "is in repair: only active devices join jobs" in text
    assert "3 of 4" in text
    assert "4 devices match, 3 receive it, 1 is left out" in text
    assert not Job.objects.exists()


def test_devices_that_changed_between_two_steps_are_told(acme: Fleet) -> None:
    client = acme.client()
    page = step(client, "scope", q="site:shanghai-01", **CONFIG)
    same = step(client, "waves", **hidden(page))
    make_presence(acme.add("sh-8", site=acme.devices[0].site))
    acme.settle()

    other = step(client, "waves", **hidden(same))

    assert "have changed" not in same.content.decode()
    assert "3 matched, now 4, 3 received it, now 4." in other.content.decode()
    assert "4 devices match, 4 receive it" in other.content.decode()


def test_invalid_json_parameters_are_refused_and_the_input_is_kept(
    acme: Fleet,
) -> None:
    wrong = {"command": "set_config", "set_config-params": '{"interval": }'}

    page = step(acme.client(), "scope", q="*", **wrong)

    assert page.status_code == 422
    text = page.content.decode()
    assert "This is not valid JSON" in text
    assert "{&quot;interval&quot;: }" in text


def test_a_missing_parameter_is_reported(acme: Fleet) -> None:
    page = step(acme.client(), "scope", q="*", command="update_firmware")

    assert page.status_code == 422
    assert page.context["step"] == "command"
    assert "This field is required." in page.content.decode()


def test_invalid_waves_are_refused(acme: Fleet) -> None:
    fields = CONFIG | WAVES | {"wave_size": "0", "failure_percent": "120"}

    page = step(acme.client(), "confirm", q="*", **fields)

    assert page.status_code == 422
    assert page.context["step"] == "waves"
    assert set(page.context["rollout"].errors) == {"wave_size", "failure_percent"}


def test_a_changed_set_is_shown_with_the_difference_and_nothing_is_sent(
    acme: Fleet,
) -> None:
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")
    make_presence(acme.add("sh-8", site=acme.devices[0].site))
    acme.settle()

    answer = step(client, "launch", **hidden(page), name="Interval 30 s")

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "The devices have changed since the preview." in text
    assert "sh-8" in text
    assert not Job.objects.exists()
    again = step(client, "launch", **hidden(answer), name="Interval 30 s")
    assert again.status_code == 302
    assert Job.objects.get().cohort.target_count == 4


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that the index has answered, so that a test can count them."""
    asked: list[str] = []

    def ask(tenants: Any, q: str, status: Any = None) -> Any:
        asked.append(q)
        return open_search(tenants, q, status)

    open_search = search.open_search
    monkeypatch.setattr(search, "open_search", ask)
    return asked


@pytest.mark.parametrize("asked", ["scope", "waves", "confirm"])
def test_a_preview_resolves_the_devices_once(
    acme: Fleet, resolved: list[str], asked: str
) -> None:
    page = step(acme.client(), asked, q="site:shanghai-01", **CONFIG, **WAVES)

    assert page.context["preview"]["matched"] == 3
    assert resolved == ["site:shanghai-01"]


def test_a_launch_resolves_the_devices_once_even_if_they_have_changed(
    acme: Fleet, resolved: list[str]
) -> None:
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")
    make_presence(acme.add("sh-8", site=acme.devices[0].site))
    acme.settle()
    resolved.clear()

    refused = step(client, "launch", **hidden(page), name="Interval 30 s")
    assert (refused.status_code, resolved) == (409, ["site:shanghai-01"])
    launched = step(client, "launch", **hidden(refused), name="Interval 30 s")

    assert launched.status_code == 302
    assert resolved == ["site:shanghai-01"] * 2
    assert Job.objects.get().cohort.target_count == 4


def test_a_large_job_needs_the_typed_number_of_devices(
    acme: Fleet, monkeypatch: Any
) -> None:
    monkeypatch.setattr("console.forms.commands.TYPED_ABOVE", 2)
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")

    wrong = step(client, "launch", **hidden(page), name="x", typed_count="2")
    right = step(client, "launch", **hidden(page), name="x", typed_count="3")

    assert wrong.status_code == 422
    assert "The job goes to 3 devices, not 2." in wrong.content.decode()
    assert right.status_code == 302
    assert Job.objects.count() == 1


def test_a_second_click_creates_no_second_job(acme: Fleet) -> None:
    client = acme.client()
    page = confirm_page(client, q="site:shanghai-01")

    first = step(client, "launch", **hidden(page), name="x")
    second = step(client, "launch", **hidden(page), name="x")

    assert first["Location"] == second["Location"]
    assert Job.objects.count() == 1


def test_a_cohort_can_be_the_target_of_a_job(acme: Fleet) -> None:
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
def test_a_missing_target_redirects_to_the_fleet(
    acme: Fleet, target: dict[str, Any]
) -> None:
    answer = acme.client().post("/jobs/new/", target)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/fleet/")


def test_devices_of_another_tenant_cannot_be_the_target(
    acme: Fleet, globex: Fleet
) -> None:
    client = acme.client(Role.ADMIN)

    page = confirm_page(client, device=["gx-0"])
    forged = step(client, "launch", device="gx-0", name="x", **CONFIG, **WAVES)

    assert page.status_code == forged.status_code == 302
    assert not Job.objects.exists()
    assert not Command.objects.exists()
