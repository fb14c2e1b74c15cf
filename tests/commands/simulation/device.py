"""A device that keeps to the guide: it executes a command id once, whatever happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.commands.simulation.agenda import Agenda
from tests.commands.simulation.plan import ASLEEP, CODES, OFFLINE, PARAMS, Absence, Plan

if TYPE_CHECKING:
    from tests.commands.simulation.platform import Platform

Answer = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """A command on its way to the device."""

    command_id: Any
    attempt: int
    expires_at: datetime


class Device:
    """What it does with a message, what it says, and what the network makes of that."""

    platform: Platform

    def __init__(
        self,
        agenda: Agenda,
        chance: Random,
        plan: Plan,
        marks: Counter[str],
        tell: Callable[[str], None],
    ) -> None:
        self._agenda, self._chance, self.plan = agenda, chance, plan
        self._marks, self._tell = marks, tell
        self._absences = 0  # that are not over
        self._boot = 0
        self._waiting: list[Message] = []  # in the broker's session
        # On its flash: the result of each command id; None until it has one.
        self.memory: dict[Any, Answer | None] = {}
        self._running: set[Any] = set()
        self._unconfirmed: list[tuple[Any, Answer]] = []
        # For the promises.
        self.executions: Counter[Any] = Counter()
        self.said: set[str] = set()
        self.reported_wanted_at: list[datetime] = []

    @property
    def is_online(self) -> bool:
        return self._absences == 0

    def receive(self, message: Message) -> None:
        """Take a message from the broker, or let it be lost."""
        if not self.is_online:
            if self.plan.has_session:
                self._waiting.append(message)
            return
        command_id = message.command_id
        if command_id in self._running:
            self._marks["repeat while it runs"] += 1
            self._say("ack", command_id, {"status": "received"})
        elif self._knows(command_id):
            self._answer_repeat(command_id)
        elif message.expires_at <= self._agenda.now:
            self._marks["expired on the way"] += 1
            self._say("ack", command_id, {"status": "rejected", "reason": "expired"})
        elif self._happens(self.plan.rejects):
            self._say("ack", command_id, {"status": "rejected", "reason": "busy"})
        elif self._happens(self.plan.defers):
            self._defer(command_id)
        else:
            self._execute(command_id)

    def _knows(self, command_id: Any) -> bool:
        return command_id in self.memory

    def _answer_repeat(self, command_id: Any) -> None:
        self._marks["repeat answered from memory"] += 1
        self._say("ack", command_id, {"status": "received"})
        outcome = self.memory[command_id]
        if outcome is not None:
            self._say_result(command_id, outcome)

    def _defer(self, command_id: Any) -> None:
        later = self._agenda.now + timedelta(seconds=self._chance.uniform(1, 600))
        until = later if self._chance.random() < 0.7 else None
        self._say("ack", command_id, {"status": "deferred", "until": until})

    def _execute(self, command_id: Any) -> None:
        outcome: Answer | None = {"status": "succeeded", "code": None}
        if self._happens(self.plan.fails):
            code = self._chance.choice((*CODES, None))
            outcome = {"status": "failed", "code": code}
        if self._happens(self.plan.never_ends):
            outcome = None
        self._tell(f"device: executes, {outcome}")
        self.memory[command_id] = outcome
        self.executions[command_id] += 1
        if self._happens(self.plan.crashes):
            self._marks["crash between effect and acknowledgement"] += 1
            lasts = self._chance.uniform(2, 200)
            self.leave(Absence(0, lasts, OFFLINE), is_crash=True)
            return
        self._running.add(command_id)
        self._say("ack", command_id, {"status": "received"})
        if self._chance.random() < 0.5:
            self._say("progress", command_id, {})
        boot = self._boot
        seconds = self._chance.choice((0.0, self._chance.uniform(0, 20)))
        self._agenda.after(seconds, lambda: self._finish(command_id, boot))

    def _finish(self, command_id: Any, boot: int) -> None:
        if boot != self._boot:
            return
        self._running.discard(command_id)
        outcome = self.memory[command_id]
        if outcome is None:
            return
        is_done = outcome["status"] == "succeeded" and self._chance.random() < 0.9
        reports_first = self._chance.random() < 0.5
        if is_done and reports_first:
            self.report(is_wanted=True)
        self._say_result(command_id, outcome)
        if is_done and not reports_first:
            self.report(is_wanted=True)

    def report(self, *, is_wanted: bool) -> None:
        """Report the document, with or without what the command is to reach."""
        document = PARAMS if is_wanted else {"level": 1}

        def arrive() -> None:
            if is_wanted:
                self.reported_wanted_at.append(self._agenda.now)
            self.platform.hear_report(document)

        if self.is_online:
            self._agenda.after(self._chance.uniform(0.02, 1.0), arrive)

    def leave(self, absence: Absence, *, is_crash: bool = False) -> None:
        """Be away for a while; a sleeper says so, and may sleep longer than it said."""
        self._absences += 1
        self._tell(f"device: {'crashes' if is_crash else absence.kind}")
        if is_crash:
            self._boot += 1
            self._running.clear()
        until = self._agenda.now + timedelta(seconds=absence.lasts)
        if absence.kind == ASLEEP:
            self.platform.hear_sleep(until)
        else:
            # The last will, or silence.
            delay = self._chance.choice((0.1, 75.0))
            self._agenda.after(delay, lambda: self._be_missed(absence.kind))
        self._agenda.after(absence.lasts + absence.oversleeps, self._come_back)

    def _be_missed(self, kind: str) -> None:
        if not self.is_online:
            self.platform.miss_device(kind)

    def _come_back(self) -> None:
        self._absences -= 1
        if not self.is_online:
            return
        self._tell("device: online")
        self.platform.hear_birth()
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        for command_id, outcome in unconfirmed:
            self._say_result(command_id, outcome)
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            if message.expires_at > self._agenda.now:
                self._marks["delivered from the session"] += 1
                self.receive(message)

    def _say_result(self, command_id: Any, outcome: Answer) -> None:
        self._say("result", command_id, outcome)

    def _say(self, kind: str, command_id: Any, body: Answer) -> None:
        """Send an answer; the network loses, repeats and delays it."""
        if not self.is_online or self._happens(self.plan.lost):
            if kind == "result":  # no PUBACK: it is sent again after the next birth
                self._unconfirmed.append((command_id, body))
            return
        copies = 2 if self._happens(self.plan.repeated) else 1
        for _ in range(copies):
            seconds = self._chance.uniform(0.02, 1.0)
            if self._happens(self.plan.late):
                seconds = self._chance.uniform(5, 900)
            self._agenda.after(seconds, lambda: self._arrive(kind, body))

    def _arrive(self, kind: str, body: Answer) -> None:
        self.said.add(body.get("status", kind))
        self.platform.hear(kind, body)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share
