"""The job wizard: four steps, and nothing is created before the last one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from commands.models import Command, Job, JobTarget
from commands.services.held_changes import hold_change
from commands.services.jobs import start_job
from fleet.selectors import search
from registry.choices import Lifecycle, Role
from state.models import Twin
from tests.commands.test_jobs import answer, fleet_of, make_job, tick
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


def test_people_are_told_that_nothing_changes_or_that_alarms_are_held_back(
    acme: Fleet,
) -> None:
    client = acme.client()
    before = step(client, "scope", q="uid:sh-1", **CONFIG).content.decode()
    confirm = confirm_page(client, q="uid:sh-1").content.decode()
    Twin.objects.filter(device=acme.devices[1]).update(
        desired={"interval": 30},
        reported={"interval": 30},
        reported_at=timezone.now(),
    )

    after = step(client, "scope", q="uid:sh-1", **CONFIG).content.decode()

    assert "Alarms of a device are held back while the job works on it" in before
    assert "held back on each device while the job works on it" in confirm
    assert "Nothing would change." in after


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
    half = {"window_from": "01:00"}
    fields = CONFIG | WAVES | half | {"wave_size": "0", "failure_percent": "120"}

    page = step(acme.client(), "confirm", q="*", **fields)

    assert page.status_code == 422
    assert page.context["step"] == "waves"
    assert set(page.context["rollout"].errors) == {
        "wave_size",
        "failure_percent",
        "window_to",
    }


GATE = {"gate_metric": "alarms", "gate_name": "overheat", "gate_worse_by": "2"}
WINDOW = {"window_from": "22:00", "window_to": "04:00", "window_days": "Fri, sat"}


def test_a_gate_and_the_days_of_a_window_are_said_and_become_part_of_the_job(
    acme: Fleet,
) -> None:
    client = acme.client()
    asked = GATE | {"gate_on_breach": "rollback", "max_in_flight": "3"} | WINDOW

    page = step(client, "confirm", q="uid:sh-1", **CONFIG, **WAVES, **asked)
    answer = step(client, "launch", **hidden(page), name="watched")

    summary = dict(page.context["summary"])
    assert summary["Health gate"] == (
        "alarms overheat, worse by more than 2 %: the job stops and is rolled back"
    )
    assert summary["Window"].startswith("22:00 to 04:00 on fri, sat")
    assert summary["Without an answer"] == "3 devices at most"
    assert answer.status_code == 302
    rollout = Job.objects.get().rollout
    assert rollout["health_gate"] == {
        "metric": "alarms",
        "alarm_code": "overheat",
        "worse_by": 0.02,
        "on_breach": "rollback",
    }
    assert rollout["window"]["days"] == ["fri", "sat"]
    assert rollout["max_in_flight"] == 3


def test_with_a_window_the_confirm_page_says_which_hours_its_time_counts(
    acme: Fleet,
) -> None:
    units = fleet_of(1, tenant=acme.tenant)
    past = make_job(units)
    start_job(job=past, actor=None)
    tick()
    answer(units, past)
    for _ in range(2):
        tick()
    client = acme.client()
    fields = {"q": "uid:sh-1", "command": "reboot"} | WAVES

    plain = step(client, "confirm", **fields).context["preview"]["cost"]
    with_window = step(client, "confirm", **fields, **WINDOW).context["preview"]["cost"]

    assert plain["takes"].endswith("in 8 of 10 cases, by 1 past job")
    assert with_window["takes"].endswith(
        "by 1 past job; hours outside the window are not counted"
    )


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        (GATE | {"gate_worse_by": "101"}, "gate_worse_by"),
        (GATE | {"gate_metric": "risk"}, "gate_name"),
        ({"gate_metric": "telemetry:"}, "gate_name"),
        ({"gate_metric": "luck"}, "gate_metric"),
        (WINDOW | {"window_days": "someday"}, "window_days"),
        ({"window_days": "mon"}, "window_days"),
        ({"max_in_flight": "0"}, "max_in_flight"),
    ],
)
def test_a_wrong_gate_or_day_is_refused_beside_its_field(
    acme: Fleet, fields: dict[str, str], wrong: str
) -> None:
    page = step(acme.client(), "confirm", q="uid:sh-1", **CONFIG, **(WAVES | fields))

    assert page.status_code == 422
    assert list(page.context["rollout"].errors) == [wrong]
    # The cursor stands in the wrong field, and in no other.
    focused = re.findall(r"<[^>]* autofocus[^>]*>", page.content.decode())
    assert [f'name="{wrong}"' in found for found in focused] == [True]


def test_a_refusal_of_the_services_stands_beside_its_field(acme: Fleet) -> None:
    many = WAVES | {"canary": "9999"}

    page = step(acme.client(), "confirm", q="uid:sh-1", **CONFIG, **many)

    assert page.status_code == 400
    assert page.context["step"] == "waves"
    assert list(page.context["rollout"].errors) == ["canary"]
    assert "rollout.canary" not in page.content.decode()


def test_a_refused_command_keeps_the_way_back(acme: Fleet) -> None:
    client = acme.client()
    page = confirm_page(client, q="uid:sh-1")
    step(client, "launch", **hidden(page), name="stopped before")
    hold_change(Job.objects.get(), at=timezone.now())

    page = step(client, "scope", q="uid:sh-1", **CONFIG)

    text = page.content.decode()
    assert "This job cannot be created." in text
    assert 'href="/fleet/?q=uid%3Ash-1">Back to the devices' in text


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
