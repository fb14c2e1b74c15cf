"""One life of a command: a seed, and all that happens from it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from commands.choices import CommandClass
from tests.commands.simulation.adapters import Adapters
from tests.commands.simulation.agenda import START, Agenda
from tests.commands.simulation.device import Device
from tests.commands.simulation.plan import Plan, draw_plan
from tests.commands.simulation.platform import Platform
from tests.commands.simulation.promises import BrokenPromise, Promises


@dataclass
class Life:
    """What a seed came to."""

    seed: int
    marks: Counter[str] = field(default_factory=Counter)
    broken: str = ""
    story: list[str] = field(default_factory=list)

    @property
    def failure(self) -> str:
        """Return how to see it again."""
        return f"{self.broken}\n    python -m tests.commands.simulation {self.seed}"


def live(seed: int, *, tell: bool = False) -> Life:
    """Simulate one life; ``tell`` keeps its story.

    The back-off of production draws from the global chance, so a life begins there too.
    """
    random.seed(seed)
    life = Life(seed)
    world = _World(life, tell=tell)
    try:
        world.begin()
        if not world.agenda.run():
            raise BrokenPromise("it does not end")
        world.promises.check_end(world.platform.command)
    except BrokenPromise as broken:
        life.broken = f"seed {seed}: {broken}"
    return life


class _World:
    """The parts of a life, and how they reach each other."""

    def __init__(self, life: Life, *, tell: bool) -> None:
        chance = random.Random(life.seed)
        self.chance = chance
        self.plan: Plan = draw_plan(chance)
        self.agenda = Agenda()
        story = life.story

        def note(what: str) -> None:
            story.append(f"{(self.agenda.now - START).total_seconds():10.2f}  {what}")

        tell_it: Callable[[str], None] = note if tell else _say_nothing
        self.device = Device(self.agenda, chance, self.plan, life.marks, tell_it)
        self.promises = Promises(self.device)
        self.platform = Platform(
            self.agenda, chance, self.plan, life.marks, tell_it, self.promises
        )
        self.adapters = Adapters(
            self.agenda, chance, self.platform, self.device, life.marks, tell_it
        )
        self.device.platform = self.platform
        self.platform.wake_adapters = self.adapters.wake
        if tell:
            note(f"plan: {self.plan}")

    def begin(self) -> None:
        plan, agenda = self.plan, self.agenda
        if plan.reports_before:
            self.device.report(is_wanted=True)
        for absence in plan.absences:
            agenda.after(absence.begins, partial(self.device.leave, absence))
        agenda.after(plan.asked_after, self.platform.request)
        if plan.cancelled_after is not None:
            agenda.after(plan.cancelled_after, self.platform.cancel)
        if (
            plan.superseded_after is not None
            and plan.definition.command_class == CommandClass.CONFIG
        ):
            agenda.after(plan.superseded_after, self.platform.supersede)


def _say_nothing(what: str) -> None:
    pass
