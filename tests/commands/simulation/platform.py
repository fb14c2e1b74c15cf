"""The command's row, and the transactions that write it: each decided by production."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from commands.choices import AttemptOutcome, CommandClass, CommandStatus, WaitsFor
from commands.exceptions import CommandRefused
from commands.failure_rules import kept_rules
from commands.lifecycle import is_verdict
from commands.models import Command
from commands.services import device_responses, rerun
from commands.services.commands import check_reachable, new_command
from commands.services.due_decisions import (
    Circumstances,
    decide,
    expire_in_queue,
    may_wait_for_sleeper,
)
from commands.services.transitions import COLUMNS, Moves
from commands.services.verification import verify_if_met, verify_if_reported_since
from registry.models import Device as DeviceRow
from state.selectors import ASLEEP as SLEEPING
from state.selectors import GATEWAY_AWAY, Sleep
from tests.commands.simulation.agenda import Agenda
from tests.commands.simulation.device import Answer
from tests.commands.simulation.plan import BEHIND, PARAMS, Plan
from tests.commands.simulation.promises import Promises

S, A = CommandStatus, AttemptOutcome
HEARTBEAT = timedelta(seconds=30)
CORRECTS_FOR = timedelta(days=7)
CORRECTABLE = (S.TIMED_OUT, S.UNKNOWN, S.EXPIRED, S.FAILED)
SENT_OR_MORE = (A.SENT, A.RECEIVED, A.NO_ACK)
DEVICE_ROW = DeviceRow(pk=1, tenant_id=1, uid="dev-1", adapter="mqtt")


@dataclass
class Try:
    """One attempt, as its row keeps it."""

    adapter: int
    claimed_at: datetime
    outcome: AttemptOutcome = A.CLAIMED


class Platform:
    """One command and its device, as the platform knows them."""

    wake_adapters: Callable[[], None]

    def __init__(
        self,
        agenda: Agenda,
        chance: Random,
        plan: Plan,
        marks: Counter[str],
        tell: Callable[[str], None],
        promises: Promises,
    ) -> None:
        self._agenda, self._chance, self._plan = agenda, chance, plan
        self._marks, self._tell, self.promises = marks, tell, promises
        self.command: Command | None = None
        self.tries: list[Try] = []
        self._written: list[Any] = []
        self._writes = 0
        self._connectivity = "online"
        self._sleep: Sleep | None = None
        self._reported: tuple[Answer, datetime] | None = None
        self._is_outdated = False
        self._has_been_retried = False

    # What people do.

    def request(self) -> None:
        plan, now = self._plan, self._agenda.now
        try:
            check_reachable(DEVICE_ROW, plan.definition, self.connectivity)
        except CommandRefused:
            self._marks["refused at once"] += 1
            return
        command = new_command(
            device=DEVICE_ROW,
            definition=plan.definition,
            params=PARAMS,
            policy=plan.policy,
            failure_rules=kept_rules(plan.definition.reactions, plan.policy),
            connectivity=self.connectivity,
            now=now,
        )
        command.pk, command.public_id = 1, UUID(int=self._chance.getrandbits(128))
        self.command = command
        self._written = [getattr(command, name) for name in COLUMNS]
        moves = Moves(now=now)
        moves.note(command, "requested")
        self.commit(moves)

    def cancel(self) -> None:
        command = self.command
        if command is None:
            return
        moves = Moves(now=self._agenda.now)
        was, token = command.status, command.claim_token
        if not moves.move(command, S.CANCELLED, cause="cancelled", actor="a person"):
            return
        self._marks["cancelled"] += 1
        if was == S.QUEUED and token is not None:
            self._marks["cancelled while claimed"] += 1
            self.close_try(A.STOPPED)
        self.commit(moves)

    def supersede(self) -> None:
        """Let a newer configuration take its place."""
        command = self.command
        if command is None:
            return
        self._is_outdated = True
        if command.ended_at is not None:
            return
        moves = Moves(now=self._agenda.now)
        was = command.status
        moves.move(command, S.SUPERSEDED, cause="a newer one")
        if was == S.QUEUED:
            self.close_try(A.STOPPED)
        self._marks["superseded"] += 1
        self.commit(moves)

    def _retry(self) -> None:
        """Send it again as a person asks, if that is allowed."""
        command = self.command
        assert command is not None
        refusal = rerun.rerun_refusal(command, is_outdated=self._is_outdated)
        if refusal or rerun.ended_by_device(command):
            return
        self._marks["sent again by a person"] += 1
        self.promises.allow_again()
        moves = Moves(now=self._agenda.now)
        rerun.queue_again(
            command,
            moves,
            connectivity=self.connectivity,
            actor="a person",
            cause="retried",
        )
        self.commit(moves)

    # What the device says.

    def hear(self, kind: str, body: Answer) -> None:
        command, now = self.command, self._agenda.now
        if command is None or command.attempt_count == 0:
            return
        moves = Moves(now=now)
        was_verdict = is_verdict(command.status, command.failure_class)
        if kind == "ack":
            self._hear_acknowledgement(command, moves, body)
        elif kind == "progress":
            device_responses.apply_progress(command, moves, payload={}, at=now)
        else:
            if command.status == S.QUEUED and command.sent_at is None:
                self._marks["result before PUBACK"] += 1
            self._marks["late result"] += was_verdict
            device_responses.apply_result(
                command,
                moves,
                status=body["status"],
                code=body["code"],
                payload=None,
                at=now,
            )
        if command.sent_at is None:
            self.verify_reported_meanwhile(moves)
        newest = self.tries[-1]
        if newest.outcome != A.RECEIVED:
            newest.outcome = A.RECEIVED
        self.commit(moves)

    def _hear_acknowledgement(
        self, command: Command, moves: Moves, body: Answer
    ) -> None:
        status = body["status"]
        if is_verdict(command.status, command.failure_class):
            self._marks["late acknowledgement"] += 1
        elif command.received_at is not None and status == "received":
            self._marks["double acknowledgement"] += 1
        elif status == "deferred":
            self._marks["deferred"] += 1
        device_responses.apply_acknowledgement(
            command,
            moves,
            status=status,
            reason=body.get("reason", ""),
            until=body.get("until"),
            at=moves.now,
        )

    def hear_report(self, document: Answer) -> None:
        command, now = self.command, self._agenda.now
        self._reported = document, now
        if command is None or command.expectation is None or not self.tries:
            self._marks["reported before it was asked for"] += 1
            return
        if command.ended_at is not None and (
            command.status not in CORRECTABLE
            or now - command.ended_at >= CORRECTS_FOR
            or self._is_outdated
        ):
            return
        moves = Moves(now=now)
        if verify_if_met(command, moves, reported=document):
            self._marks["verified"] += 1
            self._marks["verified without a result"] += command.succeeded_at is None
        self.commit(moves)

    def hear_birth(self) -> None:
        self._connectivity, self._sleep = "online", None
        if self.command is None:
            return
        moves = Moves(now=self._agenda.now)
        if device_responses.release_at_birth(self.command, moves):
            self._marks["released at the birth"] += 1
        self.commit(moves)

    def hear_sleep(self, until: datetime) -> None:
        self._connectivity = SLEEPING
        self._sleep = Sleep(self._agenda.now, until + 2 * HEARTBEAT)

    def miss_device(self, kind: str) -> None:
        self._connectivity = GATEWAY_AWAY if kind == BEHIND else "offline"

    @property
    def connectivity(self) -> str:
        if self._connectivity == SLEEPING and not self._sleep_now():
            return "offline"
        return self._connectivity

    def _sleep_now(self) -> Sleep | None:
        sleep = self._sleep
        return sleep if sleep and sleep.wakes_at > self._agenda.now else None

    # What the passing time does.

    def _sweep(self) -> None:
        command, now = self.command, self._agenda.now
        assert command is not None
        moves = Moves(now=now)
        if command.status == S.QUEUED and command.claim_token is None:
            if command.expires_at > now:
                return
            is_asleep = bool(self._sleep_now()) and may_wait_for_sleeper(command)
            self._marks["expired in the queue"] += not is_asleep
            expire_in_queue(command, moves, is_asleep=is_asleep)
        elif command.due_at is None or command.due_at > now:
            return
        elif command.ended_at is not None:
            self._marks["replaced by a new command"] += 1
            command.due_at = None
            moves.touch(command)
        else:
            decide(command, moves, self._circumstances(command))
        self.commit(moves)

    def _circumstances(self, command: Command) -> Circumstances:
        losses = 0
        if command.status == S.QUEUED:
            self._marks["lease lost"] += 1
            losses = self.lose(A.LOST)
        elif command.status == S.SENT:
            self.close_try(A.NO_ACK)
        sleep = self._sleep_now()
        waits = sleep is not None and may_wait_for_sleeper(command)
        return Circumstances(
            losses={command.pk: losses},
            connectivity={command.device_id: self.connectivity},
            sleeps={command.pk: sleep} if sleep is not None and waits else {},
            outdated={command.pk} if self._is_outdated else set(),
        )

    # The attempts.

    def close_try(self, outcome: AttemptOutcome) -> None:
        if self.tries and self.tries[-1].outcome in (A.CLAIMED, A.SENT):
            self.tries[-1].outcome = outcome

    def lose(self, outcome: AttemptOutcome) -> int:
        """Close an attempt that was not sent; return the losses in a row."""
        if not self._plan.others_get_through:
            self._marks["interruption"] += 1
            outcome = A.INTERRUPTED
        self.close_try(outcome)
        losses = 0
        for each in reversed(self.tries):
            if each.outcome in SENT_OR_MORE:
                break
            losses += each.outcome in (A.LOST, A.NOT_SENT)
        return losses

    def verify_reported_meanwhile(self, moves: Moves) -> None:
        command, claimed = self.command, self._first_claim()
        if command is None or command.expectation is None or command.ended_at:
            return
        if self._reported is not None and claimed is not None:
            document, at = self._reported
            verify_if_reported_since(
                command, moves, reported=document, reported_at=at, claimed_at=claimed
            )

    def _first_claim(self) -> datetime | None:
        never = (A.NOT_SENT, A.STOPPED)
        claims = [each.claimed_at for each in self.tries if each.outcome not in never]
        return min(claims, default=None)

    # The transaction.

    def commit(self, moves: Moves) -> None:
        """Write what was changed, as Moves.write() does, and check the promises."""
        command = self.command
        assert command is not None
        slept = command.clock_stopped_at is not None
        moves.stop_clocks({1: sleep} if (sleep := self._sleep_now()) else {})
        if command.pk not in moves.changed:
            # What was not marked as changed is never written.
            for name, value in zip(COLUMNS, self._written, strict=True):
                setattr(command, name, value)
            return
        self._mark(command, slept=slept)
        for event in moves.events:
            self._tell(f"{event.actor}: {event.status}: {event.cause}")
        self.promises.check(command, moves.events)
        self.write()

    def write(self) -> None:
        """Keep the row, and let what depends on it happen."""
        command = self.command
        assert command is not None
        self._written = [getattr(command, name) for name in COLUMNS]
        self._writes += 1
        is_queued = command.status == S.QUEUED and command.claim_token is None
        if is_queued:
            self.wake_adapters()
        due_at = command.expires_at if is_queued else command.due_at
        if due_at is not None:
            version = self._writes
            late = timedelta(seconds=self._chance.random())
            self._agenda.at(due_at + late, lambda: self._sweep_if(version))
        if command.ended_at is not None and self._plan.is_retried_by_person:
            if not self._has_been_retried:
                self._has_been_retried = True
                self._agenda.after(self._chance.uniform(1, 400), self._retry)

    def _sweep_if(self, version: int) -> None:
        """Sweep, unless the row was written since."""
        if version == self._writes:
            self._sweep()

    def _mark(self, command: Command, *, slept: bool) -> None:
        self._marks[f"status {command.status}"] += 1
        if command.failure_class:
            self._marks[f"class {command.failure_class}"] += 1
        if command.needs_person:
            self._marks["a person is asked"] += 1
        if command.clock_stopped_at is not None and not slept and self.tries:
            self._marks["sleep in retry"] += 1
        if command.status == S.EXPIRED and command.waits_for == WaitsFor.DEVICE:
            if self._sleep is not None and self._connectivity == SLEEPING:
                self._marks["expiry after a sleep that did not end"] += 1
        if command.late:
            self._marks["verdict corrected"] += 1
        if command.command_class == CommandClass.CONTROL and self._sleep_now():
            self._marks["control command to a sleeper"] += 1
