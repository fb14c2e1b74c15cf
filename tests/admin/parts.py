"""Two places of a tenant, another tenant, and everybody who uses the admin."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from commands.models import CommandDefinition
from console.models import SlaPolicy
from fleet.models import Cohort, CohortWatch
from registry.models import (
    Batch,
    Credential,
    Device,
    DeviceImport,
    FirmwareHardware,
    FirmwareProduct,
    FirmwareRelease,
    HardwareRevision,
    Product,
    Site,
    User,
)
from state.models import AlarmRule, DeadLetter
from tests.admin.forms import Body, body_for, sent_by
from tests.admin.pages import MODELS, url_of
from tests.admin.roles import ADD, TABLE, AdminRules, Part, Person, people_of
from tests.admin.rows import FullRows, make_sign_ins
from tests.factories import TenantFactory
from tests.isolation.walk import everything_of

# Rows of the whole tenant: both our places share them.
SHARED = (
    *(Product, HardwareRevision, Batch, AlarmRule, Cohort, DeviceImport),
    *(FirmwareRelease, FirmwareProduct, FirmwareHardware, CohortWatch),
    *(CommandDefinition, SlaPolicy),
)


@dataclass
class World:
    """Rows near and far of a limited member's places, another's, and the people."""

    near: Part
    far: Part
    theirs: Part
    people: dict[str, Person]
    # Read once, before all attempts: their changes are undone afterwards.
    _before: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _forms: dict[Any, tuple[str, Body]] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """All rows there are."""
        return self.near, self.far, self.theirs

    def is_beyond(self, person: Person, part: Part, rules: AdminRules) -> bool:
        """Whether the person may not access the rows of this part of a tenant."""
        if person.is_superuser:
            return False
        if part is self.near:
            return bool(person.limit) and person.limit not in rules.limits
        return part is self.theirs or bool(
            person.limit and not rules.is_of_whole_tenant
        )

    def tells(self, person: Person, text: str) -> bool:
        """Whether a text says something that the person should not read."""
        beyond = [self.theirs] if not person.is_superuser else []
        beyond += [self.far] if person.limit else []
        return any(
            word in text
            for part in beyond
            for word in (part.rows.text, part.rows.short)
        )

    def row_for(self, person: Person, part: Part, model: Any) -> Any:
        """Return a row to change or delete; of sites a limited member has their own."""
        if model is Site and person.limit == "site":
            return part.rows.made[Site]
        return part.row(model)

    def before(self, part: Part) -> dict[str, list[str]]:
        """Return every row of a part's tenant as it was before all attempts."""
        return self._before[part.rows.text]

    def before_all(self) -> list[dict[str, list[str]]]:
        """Return every row of both tenants as it was before all attempts."""
        return [self.before(self.near), self.before(self.theirs)]

    def form_of(self, model: Any, row: Any) -> tuple[str, Body]:
        """Return the address of a row's page, and what its form sends untouched."""
        if (model, row.pk) not in self._forms:
            url = url_of(model, "change", row.pk)
            page = self.people["superuser"].client.get(url).content.decode()
            sent = sent_by(page, f"{model._meta.model_name}_form")
            self._forms[model, row.pk] = url, sent
        return self._forms[model, row.pk]

    def everything(self) -> list[dict[str, list[str]]]:
        """Return every row of both tenants as text."""
        return [everything_of(self.near.rows), everything_of(self.theirs.rows)]


def make_world() -> World:
    """Make them, each with one more row that nothing refers to, made in the admin."""
    near, theirs = (
        FullRows(TenantFactory(slug=word, name=word), word, short=short)
        for word, short in ((_word("x"), "ꙮꙬ"), (_word("z"), "ꙮꙘ"))
    )
    near.make_all()
    far = FullRows(near.tenant, _word("y"), short="ꙮꙚ")
    far.made |= {model: near.made[model] for model in SHARED}
    far.make_all()
    theirs.make_all()
    make_sign_ins(near.of(User))
    Credential.objects.update(revoked_at=None)
    for rows in (near, far, theirs):
        letters = DeadLetter.objects.filter(pk=rows.of(DeadLetter).pk)
        letters.update(uid=rows.of(Device).uid)
    world = World(Part(near), Part(far), Part(theirs), people_of(near))
    boss = world.people["superuser"].client
    for part in world.parts:
        for model in MODELS:
            rules = TABLE.get(model._meta.label)
            if rules and ADD in rules.writes | rules.platform_writes:
                part.spare[model] = _added(boss, model, part)
    for part in (world.near, world.theirs):
        world._before[part.rows.text] = everything_of(part.rows)
    return world


def _word(letter: str) -> str:
    # Eight letters fit into a key's prefix together with a number.
    return f"q{letter}{token_hex(3)}"


def _added(boss: Any, model: Any, part: Part) -> Any:
    last = newest(model)
    answer = boss.post(url_of(model, "add"), body_for(model, part.rows))
    row = model._default_manager.order_by("pk").last()
    assert row is not None
    assert row.pk != last, (model, answer.status_code)
    return row


def newest(model: Any) -> Any:
    """Return the key of the row that was made last."""
    keys = model._default_manager.order_by("-pk").values_list("pk", flat=True)
    return keys.first()
