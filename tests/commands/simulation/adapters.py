"""Two adapters that claim, check, publish and report; they stall and die in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random
from uuid import UUID

from commands.choices import AttemptOutcome, CommandClass, CommandStatus
from commands.services.publish_outcomes import apply_publish, apply_release
from commands.services.retry_policy import retry_after_loss
from commands.services.transitions import Moves
from tests.commands.simulation.agenda import START, Agenda
from tests.commands.simulation.device import Device, Message
from tests.commands.simulation.platform import Platform, Try

S, A = CommandStatus, AttemptOutcome
LEASE = timedelta(seconds=30)


@dataclass(frozen=True)
class Claim:
    """What an adapter holds in memory."""

    adapter: int
    token: UUID
    until: datetime
    message: Message


class Adapters:
    """The steps that stand in SQL in production: claim, and check before the publish.

    ``test_simulated_claims`` compares these two with the statements.
    """

    def __init__(
        self,
        agenda: Agenda,
        chance: Random,
        platform: Platform,
        device: Device,
        marks: Counter[str],
        tell: Callable[[str], None],
    ) -> None:
        self._agenda, self._chance = agenda, chance
        self._platform, self._device = platform, device
        self._plan = device.plan
        self._marks, self._tell = marks, tell

    def wake(self) -> None:
        """Let an adapter look, or both at once."""
        command = self._platform.command
        assert command is not None
        assert command.due_at is not None
        begins = START + timedelta(seconds=self._plan.claims_begin_after)
        due_at = max(command.due_at, begins)
        for adapter in (0, 1) if self._chance.random() < 0.2 else (0,):
            late = timedelta(seconds=self._chance.uniform(0.01, 1.0))
            self._agenda.at(due_at + late, partial(self._claim, adapter))

    def _claim(self, adapter: int) -> None:
        platform, now = self._platform, self._agenda.now
        command = platform.command
        assert command is not None
        if not may_claim(
            status=command.status,
            token=command.claim_token,
            due_at=command.due_at,
            expires_at=command.expires_at,
            now=now,
        ):
            return
        token = UUID(int=self._chance.getrandbits(128))
        command.claim_token, command.claimed_until = token, now + LEASE
        command.due_at = command.claimed_until
        command.attempt_count += 1
        platform.tries.append(Try(adapter, now))
        platform.promises.claimed_at = platform.promises.claimed_at or now
        self._tell(f"adapter {adapter}: claims attempt {command.attempt_count}")
        platform.write()
        message = Message(command.public_id, command.attempt_count, command.expires_at)
        claim = Claim(adapter, token, now + LEASE, message)
        self._next(claim, self._check)

    def _next(self, claim: Claim, step: Callable[[Claim], None]) -> None:
        """Go on after a moment, after the lease, or never."""
        if self._is_troubled(self._plan.adapter_dies):
            self._marks["adapter dies"] += 1
            self._tell(f"adapter {claim.adapter}: dies")
            return
        seconds = self._chance.uniform(0.001, 0.3)
        if self._is_troubled(self._plan.adapter_stalls):
            seconds = self._chance.uniform(1, 120)
        self._agenda.after(seconds, lambda: step(claim))

    def _check(self, claim: Claim) -> None:
        command = self._platform.command
        assert command is not None
        if may_publish(
            status=command.status,
            token=command.claim_token,
            claimed_until=command.claimed_until,
            expires_at=command.expires_at,
            claim=claim.token,
            now=self._agenda.now,
        ):
            self._next(claim, self._publish)
            return
        self._marks["not published after the check"] += 1
        if command.claim_token == claim.token:
            moves = Moves(now=self._agenda.now)
            apply_release(command, moves)
            self._platform.close_try(A.STOPPED)
            self._platform.commit(moves)

    def _publish(self, claim: Claim) -> None:
        if self._is_troubled(self._plan.broker_refuses):
            self._next(claim, self._mark_not_sent)
            return
        if self._agenda.now > claim.until:
            self._marks["published after its lease"] += 1
        self._tell(f"adapter {claim.adapter}: publishes {claim.message.attempt}")
        if not self._happens(self._plan.lost):
            for _ in range(2 if self._happens(self._plan.repeated) else 1):
                seconds = self._chance.uniform(0.005, 0.5)
                self._agenda.after(seconds, lambda: self._device.receive(claim.message))
        self._next(claim, self._mark_sent)

    def _mark_sent(self, claim: Claim) -> None:
        platform = self._platform
        command = platform.command
        assert command is not None
        if command.claim_token != claim.token:
            self._marks["report of an old claim"] += 1
            return
        moves = Moves(now=self._agenda.now)
        is_config = command.command_class == CommandClass.CONFIG
        away = platform.connectivity if is_config else None
        apply_publish(command, moves, away=away)
        platform.verify_reported_meanwhile(moves)
        if platform.tries[-1].outcome in (A.CLAIMED, A.STOPPED):
            platform.tries[-1].outcome = A.SENT
        platform.commit(moves)

    def _mark_not_sent(self, claim: Claim) -> None:
        platform = self._platform
        command = platform.command
        assert command is not None
        if command.claim_token != claim.token or command.status != S.QUEUED:
            return
        self._marks["not sent"] += 1
        moves = Moves(now=self._agenda.now)
        losses = platform.lose(A.NOT_SENT)
        retry_after_loss(command, moves, cause="not sent", losses=losses)
        platform.commit(moves)

    def _is_troubled(self, share: float) -> bool:
        ended = (self._agenda.now - START).total_seconds()
        return ended < self._plan.trouble_ends_after and self._happens(share)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share


def may_claim(
    *,
    status: str,
    token: UUID | None,
    due_at: datetime | None,
    expires_at: datetime,
    now: datetime,
) -> bool:
    """Whether the database hands a command out; see claim_queues."""
    is_due = due_at is not None and due_at <= now < expires_at
    return status == S.QUEUED and token is None and is_due


def may_publish(
    *,
    status: str,
    token: UUID | None,
    claimed_until: datetime | None,
    expires_at: datetime,
    claim: UUID,
    now: datetime,
) -> bool:
    """Whether a claim may still be published; see dispatch.find_publishable."""
    is_held = token == claim and claimed_until is not None and claimed_until > now
    return status == S.QUEUED and is_held and expires_at > now
