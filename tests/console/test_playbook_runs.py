"""Runs go from step to step, each effect happens once, and people steer them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.models import Command
from console.exceptions import RunRefused
from console.models import AttentionItem, PlaybookRun
from console.services.playbooks import advance, steps
from console.services.playbooks.edit import change_playbook, delete_playbook
from console.services.playbooks.runs import (
    answer_step,
    retry_step,
    skip_step,
    stop_run,
)
from console.tasks import advance_playbooks, take_attention
from fleet.models import IndexState
from iotplatform.common.problems import BadInput
from registry.choices import Role
from state.models import AttentionEntry
from tests.commands.units import Unit, deliver, now
from tests.console.conftest import Fleet
from tests.console.playbooks import (
    ASK,
    NOTE,
    REBOOT,
    RUNS,
    client_of,
    results,
    run_on,
    shown,
    tick,
)
from tests.factories import DeviceFactory, UserFactory

pytestmark = pytest.mark.django_db
ONLINE = {"kind": "check", "query": "connectivity:online"}
WAIT = {"kind": "wait", "seconds": 60}
ESCALATE = {"kind": "escalate", "text": "somebody must go there"}
BRANCH = {
    "kind": "branch",
    "query": "connectivity:online",
    "then": [NOTE],
    "else": [ESCALATE],
}
SECONDS = timedelta(seconds=3)


def fresh(run: PlaybookRun) -> PlaybookRun:
    return PlaybookRun.objects.get(pk=run.pk)


def titles() -> list[str]:
    take_attention()
    rows = AttentionItem.objects.filter(closed_at=None, kind="playbook_step")
    return [row.title for row in rows.order_by("pk")]


def test_a_run_checks_branches_sends_and_asks_each_device(acme: Fleet) -> None:
    run = run_on("site:shanghai-01", BRANCH, ONLINE, NOTE, tenant=acme.tenant)

    advance_playbooks()

    both = [(1, "succeeded"), (2, "succeeded"), (3, "skipped")]
    assert shown(run) == {
        "sh-0": [
            *((1, "succeeded"), (2, "skipped"), (3, "succeeded")),
            *((4, "failed"), (5, "skipped")),
        ],
        "sh-1": [*both, (4, "succeeded"), (5, "succeeded")],
        "sh-2": [*both, (4, "succeeded"), (5, "succeeded")],
    }
    assert fresh(run).status == "completed"
    assert titles() == [f"{run.name}: somebody must go there (3 devices in this run)"]


def test_a_command_is_sent_and_its_end_is_awaited(acme: Fleet) -> None:
    unit = Unit(acme.devices[1])
    unit.come_online()
    run = run_on(unit.device, REBOOT, NOTE)
    tick()
    command = Command.objects.get()
    assert (shown(run), command.requested_by) == (
        {"sh-1": [(1, "running")]},
        run.started_by,
    )
    deliver()
    unit.result(command)

    tick(now() + SECONDS)

    assert shown(run) == {"sh-1": [(1, "succeeded"), (2, "succeeded")]}
    sent = {"command": str(command.public_id), "status": "succeeded"}
    assert results(run, "sh-1") == [sent, {"text": "look"}]
    assert fresh(run).status == "completed"


def test_a_failed_command_ends_the_run_of_its_device_until_it_is_retried(
    acme: Fleet,
) -> None:
    unit = Unit(acme.devices[1])
    unit.come_online()
    run = run_on(unit.device, REBOOT, NOTE)
    tick()
    deliver()
    unit.result(Command.objects.get(), "failed", code="E7")
    tick(now() + SECONDS)
    assert shown(run) == {"sh-1": [(1, "failed"), (2, "skipped")]}
    assert results(run, "sh-1")[0]["failure_class"] == "execution_failed"

    retry_step(run, 1, by=acme.person(Role.OPERATOR))
    tick()
    deliver()
    unit.result(Command.objects.latest("pk"))
    tick(now() + SECONDS)

    assert Command.objects.count() == 2
    assert shown(run) == {"sh-1": [(1, "succeeded"), (2, "succeeded")]}


def test_a_refused_command_is_a_failed_step_that_says_why(acme: Fleet) -> None:
    identify = {"kind": "send", "command": {"name": "identify"}}
    run = run_on(acme.devices[0], identify)

    tick()

    assert shown(run) == {"sh-0": [(1, "failed")]}
    assert "real-time" in results(run, "sh-0")[0]["error"]


def test_a_wait_ends_at_its_time(acme: Fleet) -> None:
    run = run_on(acme.devices[0], WAIT, NOTE)
    tick()
    tick(now() + timedelta(seconds=50))
    assert shown(run) == {"sh-0": [(1, "waiting")]}

    tick(now() + timedelta(seconds=61))

    assert shown(run) == {"sh-0": [(1, "succeeded"), (2, "succeeded")]}


def test_an_answer_counts_for_all_devices_that_wait(acme: Fleet) -> None:
    run = run_on("site:shanghai-01", ASK, NOTE, tenant=acme.tenant)
    client = client_of(acme)
    url = f"{RUNS}{run.public_id}/steps/1/"
    tick()
    assert titles() == [f"{run.name}: Is it dead? (3 devices in this run)"]
    wrong = client.post(url, {"answer": "Maybe"}, format="json")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "answer")

    answer = client.post(url, {"answer": "Yes"}, format="json")
    tick()

    assert answer.status_code == 200
    first = answer.json()["devices"][0]
    assert first["device"] == "sh-0"
    assert first["steps"][0]["status"] == "succeeded"
    assert first["steps"][0]["result"]["answer"] == "Yes"
    assert set(map(tuple, shown(run).values())) == {
        ((1, "succeeded"), (2, "succeeded"))
    }
    assert titles() == []
    assert client.post(url, {"answer": "Yes"}, format="json").status_code == 409
    other = f"{RUNS}{run.public_id}/steps/9/"
    assert client.post(other, {"answer": "Yes"}, format="json").status_code == 404


def test_who_comes_to_a_question_after_its_answer_asks_anew(acme: Fleet) -> None:
    run = run_on("site:shanghai-01", ASK, tenant=acme.tenant)
    PlaybookRun.objects.update(rate_per_minute=1)
    tick()
    answer_step(run, 1, "Yes", by=acme.person(Role.OPERATOR))
    assert titles() == []

    tick(now() + timedelta(minutes=1, seconds=5))

    assert sorted(shown(run).values(), key=len) == [
        [],
        [(1, "succeeded")],
        [(1, "waiting")],
    ]
    assert len(titles()) == 1


def test_a_stopped_run_sends_nothing_more(acme: Fleet) -> None:
    run = run_on("site:shanghai-01", ASK, REBOOT, tenant=acme.tenant)
    tick()
    titles()
    client = client_of(acme)

    answer = client.post(f"{RUNS}{run.public_id}/stop/")
    tick(now() + timedelta(hours=1))

    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
    assert set(map(tuple, shown(run).values())) == {((1, "skipped"), (2, "skipped"))}
    assert not Command.objects.exists()
    assert titles() == []
    assert client.post(f"{RUNS}{run.public_id}/stop/").status_code == 409


def test_a_skipped_wait_lets_its_devices_go_on(acme: Fleet) -> None:
    run = run_on(acme.devices[0], WAIT, NOTE)
    tick()

    skip_step(run, 1, by=acme.person(Role.OPERATOR))
    tick()

    assert shown(run) == {"sh-0": [(1, "skipped"), (2, "succeeded")]}
    with pytest.raises(RunRefused):
        skip_step(run, 1, by=UserFactory.create())


def test_a_run_keeps_the_version_that_it_began_with(acme: Fleet) -> None:
    run = run_on(acme.devices[0], NOTE)
    playbook = run.playbook
    assert playbook is not None
    change_playbook(playbook, actor=None, steps=[REBOOT])
    delete_playbook(playbook)

    tick()

    run = fresh(run)
    assert (run.version, run.steps, run.playbook) == (1, [NOTE], None)
    assert shown(run) == {"sh-0": [(1, "succeeded")]}


@pytest.mark.parametrize(
    ("step", "effects"),
    [
        (REBOOT, {"commands": 1, "entries": 0}),
        (ASK, {"commands": 0, "entries": 1}),
        (ESCALATE, {"commands": 0, "entries": 1}),
        (NOTE, {"commands": 0, "entries": 0}),
        (BRANCH, {"commands": 0, "entries": 0}),
        (ONLINE, {"commands": 0, "entries": 0}),
        (WAIT, {"commands": 0, "entries": 0}),
    ],
    ids=lambda given: given.get("kind", ""),
)
def test_a_crash_between_a_steps_effect_and_its_record_repeats_nothing(
    acme: Fleet, step: Any, effects: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unit(acme.devices[1])
    unit.come_online()
    acme.settle()
    run = run_on(unit.device, step, NOTE)
    later = now() + timedelta(minutes=2)

    def die(*args: Any, **kwargs: Any) -> None:
        raise SystemExit

    def sweep() -> None:
        tick()
        tick(later)

    with monkeypatch.context() as dying:
        dying.setattr(steps, "write_steps", die)
        dying.setattr(advance, "record", die)
        with pytest.raises(SystemExit):
            sweep()
    for _ in range(2):
        tick(later)
        tick(later + SECONDS)

    found = Command.objects.count(), AttentionEntry.objects.count()
    assert found == (effects["commands"], effects["entries"])
    assert shown(run)["sh-1"][0][1] == {"send": "running", "ask": "waiting"}.get(
        step["kind"], "succeeded"
    )


def test_a_command_that_went_out_before_its_record_was_lost_is_found_by_its_key(
    acme: Fleet,
) -> None:
    run = run_on(acme.devices[1], REBOOT)
    tick()
    sent = Command.objects.get()
    # As if the command had been committed, and the record of it had not.
    connection.cursor().execute(
        "UPDATE console_playbookstep SET command = NULL, due_at = started.at"
        " FROM (SELECT now() AS at) started"
    )

    tick(now() + SECONDS)

    assert Command.objects.get() == sent
    assert results(run, "sh-1") == [{"command": str(sent.public_id)}]


def test_a_check_waits_for_the_index(acme: Fleet) -> None:
    run = run_on(acme.devices[1], ONLINE)
    IndexState.objects.update(rebuild_requested_at=now())
    tick()
    assert shown(run) == {"sh-1": [(1, "running")]}

    IndexState.objects.update(rebuild_requested_at=None)
    tick(now() + SECONDS)

    assert shown(run) == {"sh-1": [(1, "succeeded")]}


def test_the_sweep_asks_no_query_per_device(acme: Fleet) -> None:
    def queries_for(number: int) -> int:
        site = acme.devices[0].site
        for each in range(number):
            acme.add(f"n{number}-{each}", site=site, tags=[f"of{number}"])
        acme.settle()
        run = run_on(f"tag:of{number}", BRANCH, WAIT, REBOOT, tenant=acme.tenant)
        PlaybookRun.objects.update(rate_per_minute=60_000)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            tick()
            tick(now() + timedelta(seconds=61))
            tick(now() + timedelta(seconds=63))
        assert all(each[-1] == (5, "running") for each in shown(run).values())
        stop_run(run, by=UserFactory.create())
        return len(asked)

    few, many = queries_for(2), queries_for(40)

    assert Command.objects.count() == 42
    assert many <= few + 2, (few, many)


def test_devices_start_at_the_rate(acme: Fleet) -> None:
    run = run_on("*", NOTE, tenant=acme.tenant)
    PlaybookRun.objects.update(rate_per_minute=1)
    tick()
    assert sum(map(len, shown(run).values())) == 1

    tick(now() + timedelta(minutes=2, seconds=1))

    assert sum(map(len, shown(run).values())) == 4 - 1


def test_a_device_that_left_the_tenant_gets_nothing(acme: Fleet) -> None:
    stranger = DeviceFactory.create()
    run = run_on(acme.devices[3], WAIT, REBOOT)
    tick()
    type(stranger).objects.filter(pk=acme.devices[3].pk).update(
        tenant=stranger.tenant, site=stranger.site, product=stranger.product
    )

    tick(now() + timedelta(minutes=2))

    assert shown(run) == {"mu-0": [(1, "succeeded"), (2, "failed")]}
    assert not Command.objects.exists()


def test_an_answer_by_two_people_at_once_counts_once(acme: Fleet) -> None:
    run = run_on(acme.devices[0], ASK)
    tick()
    answer_step(run, 1, "Yes", by=acme.person(Role.OPERATOR))

    with pytest.raises(RunRefused):
        answer_step(run, 1, "No", by=acme.person(Role.OPERATOR))
    with pytest.raises(RunRefused):
        stop_run(run, by=acme.person(Role.OPERATOR))
    with pytest.raises((BadInput, RunRefused)):
        answer_step(run, 1, "Perhaps", by=acme.person(Role.OPERATOR))
