"""Makes a row in every table whose rows belong to a tenant."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import count
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from commands.rollouts import DEFAULTS
from registry.models import Tenant
from tests.factories import UserFactory

APPS = {"registry", "state", "commands", "fleet", "console"}
# Texts with a fixed form: a constraint of their table would refuse others.
OF_A_FORM = {"time_zone", "fingerprint", "firmware_version"}
# Optional references that must be set in the single row of their table.
NEEDED = {
    "registry.AuditEntry.tenant",
    "registry.MembershipLimit.project",
    "state.DeadLetter.tenant",
    "state.MaintenancePlace.site",
}
# Times of an end: lists show what goes on.
OPEN_ENDED = {
    "console.AttentionItem.closed_at",
    "console.Incident.resolved_at",
    "console.Incident.snoozed_until",
    "fleet.CohortCall.closed_at",
}


def _health(text: str) -> dict[str, Any]:
    group = {"devices": 1, "connectivity": {text: 1}, "risk": 1.0}
    return {"members": group, "others": group}


# Documents that must have a certain form for their readers.
DOCUMENTS: dict[str, Any] = {
    "commands.Job.rollout": lambda text: DEFAULTS | {text: text},
    "commands.JobHealth.gate": lambda text: None,  # the rollout has none
    "commands.JobHealth.before": _health,
    "commands.JobHealth.after": _health,
    "console.Webhook.events": lambda text: [text],
    "console.Webhook.patterns": lambda text: [text],
    "console.NotificationRule.sites": lambda text: [text],
    "console.NotificationRule.causes": lambda text: [text],
    "console.NotificationRule.quiet_hours": lambda text: [
        {"days": ["mon"], "from": "22:00", "to": "06:00"}
    ],
    "console.NotificationRule.targets": lambda text: [
        {"id": text, "kind": "mail", "name": text}
    ],
    "console.Playbook.steps": lambda text: [{"kind": "note", "text": text}],
    "console.PlaybookVersion.steps": lambda text: [{"kind": "note", "text": text}],
    "console.PlaybookRun.steps": lambda text: [{"kind": "note", "text": text}],
    "console.PlaybookRun.answers": lambda text: [
        {"step": 1, "answer": text, "by": text, "at": "2026-01-01T00:00:00+00:00"}
    ],
    "registry.Product.attributes_schema": lambda text: {
        "properties": {text: {"type": "string", "searchable": True}}
    },
    "state.EventOrder.words": lambda text: {text: [1, 1]},
    "state.TelemetrySummary.latest": lambda text: {
        text: {"value": 1.5, "at": "2026-01-01T00:00:00+00:00"}
    },
    "state.TelemetrySummary.indexed": lambda text: {text: 1.5},
    "registry.Product.metrics": lambda text: [{"name": text, "unit": text}],
    "registry.Product.reported_keys": lambda text: [text],
    "registry.DeviceImport.errors": lambda text: [
        {"line": 1, "field": text, "message": text, "value": text}
    ],
    "state.Risk.reasons": lambda text: [{"name": text, "points": 1, "text": text}],
}
# Columns that must equal the same column of the row they refer to.
SAME_AS = {"registry.FirmwareProduct.version": "release"}
_numbers = count(1)


def tenant_models() -> list[type[models.Model]]:
    """Return every model whose rows belong to a tenant, by table name."""
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in APPS
        and any(field.name == "tenant" for field in model._meta.concrete_fields)
    ]
    return sorted(found, key=lambda model: model._meta.db_table)


class Rows:
    """Makes one row of each model; all rows belong to the same tenant."""

    def __init__(self, tenant: Tenant, text: str = "", short: str = "") -> None:
        self.tenant = tenant
        self.text = text  # put into every text that has room for it
        self.short = short  # put where there is no room for the text
        self.made: dict[type[models.Model], Any] = {Tenant: tenant}

    def make_all(self) -> None:
        for model in tenant_models():
            self.of(model)

    def of(self, model: type[models.Model]) -> Any:
        """Return the row of this model; make it at the first call."""
        if model not in self.made:
            if not hasattr(model, "tenant"):
                self.made[model] = UserFactory()
            else:
                row = model(**self._values(model))
                row.save(force_insert=True)
                self.made[model] = row
        return self.made[model]

    def _values(self, model: type[models.Model]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in model._meta.concrete_fields:
            if (other := SAME_AS.get(str(field))) is not None:
                value = getattr(values[other], field.name)
            else:
                value = self._value(field)
            if value is not None:
                values[field.name] = value
        return values

    def _value(self, field: Any) -> Any:
        if isinstance(field, models.ForeignKey):
            is_needed = not field.null or str(field) in NEEDED
            return self.of(field.related_model) if is_needed else None
        if field.primary_key:
            return None
        if isinstance(field, models.UUIDField):
            return uuid.uuid4()
        if isinstance(field, models.BinaryField):
            return self.text.encode()
        if isinstance(field, models.CharField | models.TextField | models.FileField):
            return self._text(field)
        if str(field) in OPEN_ENDED:
            return None
        if isinstance(field, models.DateTimeField):
            return timezone.now() + timedelta(minutes=1)
        if isinstance(field, models.DateField):
            return timezone.localdate()
        if field.has_default() or field.null or isinstance(field, models.JSONField):
            return self._document(field)
        if isinstance(field, models.IntegerField):
            return next(_numbers) % 30_000
        if isinstance(field, models.FloatField):
            return 1.0
        return None

    def _text(self, field: Any) -> str | None:
        if field.choices:
            return str(field.choices[0][0]) if not field.has_default() else None
        if field.name in OF_A_FORM:
            return None
        word = self.text or "x"
        texts = (f"{word}-{next(_numbers)}", word, self.short)
        room = field.max_length or 999
        return next(text for text in texts if len(text) <= room)

    def _document(self, field: Any) -> Any:
        if not self.text:
            return None if field.has_default() or field.null else {}
        if isinstance(field, ArrayField):
            return [self.text]
        if isinstance(field, models.JSONField):
            plain = lambda text: {text: text}  # noqa: E731
            return DOCUMENTS.get(str(field), plain)(self.text)
        return None
