"""Attempts that were never sent: interruptions end nothing, a bad message ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from commands.models import Attempt, Command
from commands.services.dispatch import mark_not_sent, mark_sent
from tests.commands.units import ask, claim, deliver, fresh, now, online_unit, sweep

pytestmark = pytest.mark.django_db
SOON: dict[str, Any] = {"backoff_seconds": 0}


def lose(command: Command, *, at: datetime, others: bool) -> None:
    """Lose one attempt of the command; ``others`` get through meanwhile or do not."""
    if others:
        ask(online_unit())
    claims = [(link.command_id, link.token) for link in claim(at=at)]
    sent = [one for one in claims if others and one[0] != command.public_id]
    mark_sent(sent, at)
    lost = [one for one in claims if one not in sent]
    mark_not_sent(lost, "connection lost", at)


def outcomes(command: Command) -> list[str]:
    rows = Attempt.objects.filter(command=command).order_by("number")
    return list(rows.values_list("outcome", flat=True))


def test_a_message_that_is_lost_while_others_get_through_ends() -> None:
    command = ask(online_unit(), **SOON)
    at = now() + timedelta(minutes=1)

    for _ in range(5):
        assert fresh(command).status == "queued"
        lose(command, at=at, others=True)
        at += timedelta(minutes=2)

    command = fresh(command)
    assert outcomes(command) == ["not_sent"] * 5
    assert (command.status, command.failure_class) == ("timed_out", "adapter_error")


def test_interruptions_end_nothing() -> None:
    command = ask(online_unit(), "set_config", {"interval": 5})
    at = now() + timedelta(minutes=1)

    for _ in range(4):
        lose(command, at=at, others=False)
        at += timedelta(hours=1)
        assert claim(at=at, lease_seconds=30)  # by an adapter that is killed
        at += timedelta(minutes=2)
        sweep(at)
        at += timedelta(hours=1)

    assert fresh(command).status == "queued"
    assert outcomes(command) == ["interrupted"] * 8
    assert len(deliver(at=at)) == 1
    assert fresh(command).status == "sent"


def test_only_losses_in_a_row_count() -> None:
    command = ask(online_unit(), expires_in_seconds=86_400, attempts=10, **SOON)
    at = now() + timedelta(minutes=1)

    for _ in range(2):
        for _ in range(4):
            lose(command, at=at, others=True)
            at += timedelta(minutes=2)
        deliver(at=at)
        at += timedelta(minutes=2)
        sweep(at)

    assert fresh(command).status == "queued"


def test_a_loss_with_no_time_left_is_an_expiry() -> None:
    command = ask(online_unit(), expires_in_seconds=40, **SOON)
    at = now()
    lose(command, at=at, others=False)
    claim(at=at + timedelta(seconds=20), lease_seconds=30)

    sweep(at + timedelta(seconds=51))

    command = fresh(command)
    assert (command.status, command.failure_class) == ("expired", "expired")


def test_a_loss_is_not_tried_again_at_once() -> None:
    command = ask(online_unit(), "identify")
    at = now()

    lose(command, at=at, others=False)

    assert claim(at=at) == []
    assert len(claim(at=at + timedelta(seconds=2))) == 1
