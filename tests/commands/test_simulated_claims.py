"""What the simulation says of claim, check and mark is what their SQL does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from commands.choices import CommandStatus
from commands.models import Command
from commands.services.claim_queues import claim_in_turns
from commands.services.dispatch import find_publishable, mark_sent
from commands.services.publish_outcomes import apply_publish
from commands.services.transitions import COLUMNS, Moves
from iotplatform.common.ids import new_public_id
from tests.commands.simulation.adapters import may_claim, may_publish
from tests.commands.units import ask, claim, fresh, now, online_unit

pytestmark = pytest.mark.django_db

# Before, at and after a moment.
AROUND = [timedelta(seconds=seconds) for seconds in (-1, 0, 1)]
STATUSES = (CommandStatus.QUEUED, CommandStatus.HELD, CommandStatus.SENT)


def copies_of(command: Command, variants: Sequence[dict[str, Any]]) -> list[Command]:
    """Store copies of a command, each with other values; the original goes."""
    Command.objects.filter(pk=command.pk).delete()
    copies = []
    for values in variants:
        copy = Command.objects.model(
            **{
                field.attname: getattr(command, field.attname)
                for field in Command._meta.concrete_fields
                if not field.generated and not field.primary_key
            }
        )
        copy.public_id = new_public_id()
        for name, value in values.items():
            setattr(copy, name, value)
        copies.append(copy)
    return Command.objects.bulk_create(copies)


def claimable(copies: Sequence[Command], at: datetime) -> set[int]:
    return {
        copy.pk
        for copy in copies
        if may_claim(
            status=copy.status,
            token=copy.claim_token,
            due_at=copy.due_at,
            expires_at=copy.expires_at,
            now=at,
        )
    }


def test_the_same_commands_are_claimed() -> None:
    at = now()
    variants = [
        {"status": s, "claim_token": t, "due_at": at + due, "expires_at": at + expires}
        for s, t, due, expires in product(STATUSES, (None, uuid4()), AROUND, AROUND)
    ]
    copies = copies_of(ask(online_unit()), variants)

    claimed = claim_in_turns(adapter="mqtt", limit=1_000, now=at, until=at)

    assert set(claimed) == claimable(copies, at) != set()


def test_the_same_claims_may_be_published() -> None:
    at, token = now(), uuid4()
    variants = [
        {"status": s, "claim_token": t, "claimed_until": at + u, "expires_at": at + e}
        for s, t, u, e in product(STATUSES, (token, uuid4()), AROUND, AROUND)
    ]
    copies = copies_of(ask(online_unit()), variants)

    found = find_publishable([(copy.public_id, token) for copy in copies], now=at)

    expected = {
        copy.public_id
        for copy in copies
        if may_publish(
            status=copy.status,
            token=copy.claim_token,
            claimed_until=copy.claimed_until,
            expires_at=copy.expires_at,
            claim=token,
            now=at,
        )
    }
    assert found == expected != set()


def test_the_statement_marks_as_the_function_does() -> None:
    command = ask(online_unit())
    (link,) = claim()
    by_function, moves = fresh(command), Moves(now=now())
    apply_publish(by_function, moves, away=None)

    mark_sent([(link.command_id, link.token)], moves.now)

    by_statement = fresh(command)
    assert [getattr(by_statement, name) for name in COLUMNS] == [
        getattr(by_function, name) for name in COLUMNS
    ]
