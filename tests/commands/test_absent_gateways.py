"""Commands of children wait while their gateway is away; answers come through it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.choices import WaitsFor
from commands.exceptions import CommandRefused
from commands.models import Attempt, Command, CommandEvent, JobTarget
from commands.selectors.job_tallies import tally_waves
from commands.services.actions import retry_command
from commands.services.gateway_windows import (
    MOST_IN_FLIGHT,
    notice_gateways_that_are_back_across_tenants,
)
from commands.services.jobs import start_job
from commands.tasks import process_due, tidy
from state.models import AttentionEntry, DeadLetter
from tests.commands.test_gateway_windows import children_of
from tests.commands.test_jobs import make_job, tick
from tests.commands.units import (
    Unit,
    ask,
    claim,
    deliver,
    fresh,
    now,
    online_unit,
    sweep,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway() -> Unit:
    return online_unit(uid="gw-1", kind="gateway")


@pytest.fixture
def child(gateway: Unit) -> Unit:
    [unit] = children_of(gateway.device, 1)
    return unit


def leave(gateway: Unit) -> None:
    gateway.say("status", {"status": "goodbye"})


def relay(gateway: Unit, child: Unit, kind: str, body: dict[str, Any]) -> None:
    gateway.say_on(f"iot/v1/{gateway.device.uid}/child/{child.device.uid}/{kind}", body)


def state_of(command: Command) -> tuple[str, str, str]:
    row = fresh(command)
    return row.status, row.failure_class, row.waits_for


WAITING = ("held", "gateway_unreachable", "gateway")


def test_a_command_waits_for_its_gateway_and_is_sent_when_it_is_back(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)
    command = ask(child)
    expires_at = fresh(command).expires_at
    assert state_of(command) == WAITING

    sweep(now() + timedelta(hours=5))
    tidy()
    process_due()

    assert claim() == []
    assert state_of(command) == WAITING
    assert fresh(command).expires_at == expires_at
    gateway.come_online()
    tidy()
    process_due()
    [link] = deliver()
    assert link.topic == f"iot/v1/gw-1/child/{child.device.uid}/down/command"
    assert state_of(command) == ("sent", "", "")


def test_what_expires_meanwhile_ends_with_that_class_and_a_person_is_told(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)
    policy: dict[str, Any] = {"on_failure": {"gateway_unreachable": "escalate"}}
    command = ask(child, expires_in_seconds=60, **policy)

    sweep(now() + timedelta(seconds=61))

    assert state_of(command) == ("expired", "gateway_unreachable", "gateway")
    [entry] = AttentionEntry.objects.all()
    assert "expired: it expired before its gateway could take it" in entry.reason


def test_a_gateway_that_leaves_holds_what_is_queued_and_what_is_unanswered(
    gateway: Unit, child: Unit
) -> None:
    unanswered = ask(child)
    deliver()
    queued = ask(child)
    leave(gateway)

    assert claim() == []
    sweep(now() + timedelta(minutes=2))

    assert state_of(queued) == state_of(unanswered) == WAITING
    assert fresh(queued).attempt_count == 0
    used = [fresh(c).attempt_count - fresh(c).uncounted_attempts for c in (unanswered,)]
    assert used == [0]


def test_configuration_is_retained_for_the_gateway_and_waits_for_it(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)
    command = ask(child, "set_config", {"interval": 5})
    assert fresh(command).status == "queued"

    [link] = deliver()

    assert link.retain
    assert state_of(command) == WAITING


def test_a_real_time_command_is_refused_and_says_that_the_gateway_is_away(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)

    with pytest.raises(CommandRefused, match="behind a gateway that is not online"):
        ask(child, "identify")


def test_a_gateway_that_is_back_gets_no_more_than_it_has_room_for(
    gateway: Unit, child: Unit
) -> None:
    others = children_of(gateway.device, 3)
    leave(gateway)
    for place in range(30):
        ask(others[place % 3])
    gateway.come_online()

    assert notice_gateways_that_are_back_across_tenants(now=now(), limit=100) == 30
    process_due()

    assert len(deliver()) == MOST_IN_FLIGHT
    assert Command.objects.filter(waits_for=WaitsFor.GATEWAY).count() == 10


def test_a_child_without_a_gateway_waits_no_longer_for_one(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)
    command = ask(child)
    type(child.device).objects.filter(pk=child.device.pk).update(
        kind="standalone", gateway=None
    )

    tidy()
    process_due()

    assert fresh(command).status == "queued"


def test_a_retried_command_waits_for_the_gateway_too(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)
    command = ask(child, expires_in_seconds=60)
    sweep(now() + timedelta(seconds=61))

    retry_command(command=fresh(command), actor=None, reason="")

    assert state_of(command) == WAITING


def test_members_behind_an_absent_gateway_trail_or_are_left_out(
    gateway: Unit, child: Unit
) -> None:
    leave(gateway)
    jobs = [
        make_job([child], rollout={"offline": offline}, request=offline)
        for offline in ("wait", "skip")
    ]
    for job in jobs:
        start_job(job=job, actor=None)
    tick()

    tally = tally_waves(jobs[0].pk)[1]
    assert (tally.trailing, tally.open) == (1, 0)
    [left_out] = JobTarget.objects.filter(job=jobs[1])
    assert left_out.skip_reason == "is behind a gateway that is not online"


def test_relayed_answers_late_and_repeated_count_once(
    gateway: Unit, child: Unit
) -> None:
    command = ask(child, attempts=1)
    deliver()
    sweep(now() + timedelta(minutes=10))
    assert fresh(command).status == "timed_out"

    path = f"command/{command.public_id}"
    for _ in range(3):
        relay(gateway, child, f"{path}/ack", {"status": "received"})
    late = fresh(command)
    assert (late.status, late.received_at is None) == ("timed_out", False)
    for _ in range(3):
        relay(gateway, child, f"{path}/result", {"status": "succeeded"})

    ended = fresh(command)
    assert (ended.status, ended.late) == ("succeeded", True)
    events = CommandEvent.objects.filter(command_id=ended.pk, actor="device")
    assert events.count() == 2
    assert Attempt.objects.get(command=ended).outcome == "received"
    assert not DeadLetter.objects.exists()


def test_only_the_childs_own_gateway_answers_for_it_and_only_for_it(
    gateway: Unit, child: Unit
) -> None:
    [brother] = children_of(gateway.device, 1)
    other = online_unit(uid="gw-2", kind="gateway")
    command = ask(child)
    deliver()
    answer = f"command/{command.public_id}/result"

    relay(other, child, answer, {"status": "succeeded"})
    relay(gateway, brother, answer, {"status": "succeeded"})

    assert fresh(command).status == "sent"
    reasons = DeadLetter.objects.order_by("pk").values_list("reason", flat=True)
    assert list(reasons) == ["gateway_mismatch", "unknown_command"]
