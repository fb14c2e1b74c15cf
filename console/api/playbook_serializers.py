"""Shapes of playbooks and their runs in the REST API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.api.serializers.commands import ObjectField
from console.choices import RunStatus, StepKind, StepStatus
from console.models import Playbook, PlaybookRun, PlaybookRunDevice
from console.selectors.playbooks import AnyPlaybook, list_run_devices, steps_of
from console.services.playbooks.edit import LONGEST_DESCRIPTION, LONGEST_NAME
from console.services.playbooks.runs import HIGHEST_RATE, USUAL_RATE
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import TenantField

Plain = serializers.Serializer[Any]
SHOWN = 1_000  # devices in the answer about a run; for more, there is a list

_TEXT = {"type": "string"}
_WAY = {
    "oneOf": [
        {"type": "array", "items": {"type": "object"}},
        {"type": "integer", "minimum": 2},
    ],
    "nullable": True,
    "description": "Steps, the number of a later step, or null: the next step.",
}
_FIELDS: dict[str, dict[str, Any]] = {
    "check": {"query": _TEXT},
    "send": {"command": {"type": "object", "required": ["name"]}},
    "wait": {"seconds": {"type": "integer", "minimum": 1}},
    "ask": {"question": _TEXT, "answers": {"type": "array", "items": _TEXT}},
    "note": {"text": _TEXT},
    "branch": {"query": _TEXT, "then": _WAY, "else": _WAY},
    "escalate": {"text": _TEXT},
}
STEPS_SCHEMA = {
    "type": "array",
    "items": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"type": "string", "enum": [kind]}, **fields},
                "required": ["kind", *(f for f in fields if f not in ("then", "else"))],
            }
            for kind, fields in _FIELDS.items()
        ]
    },
    "minItems": 1,
}


@extend_schema_field(STEPS_SCHEMA)
class StepsField(serializers.JSONField):
    """The steps; the service checks them, with the place of each error."""


class PlaybookSerializer(Plain):
    """A playbook; a `built_in` one has no tenant, and nobody changes it."""

    id = serializers.CharField()
    tenant = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField()
    steps = StepsField()
    built_in = serializers.BooleanField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class PlaybookRequestSerializer(StrictSerializer):
    """A new playbook."""

    tenant = TenantField()
    name = serializers.CharField(max_length=LONGEST_NAME)
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, required=False, allow_blank=True
    )
    steps = StepsField()


class PlaybookChangeSerializer(StrictSerializer):
    """A new version of a playbook; what is left out stays."""

    name = serializers.CharField(max_length=LONGEST_NAME, required=False)
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, required=False, allow_blank=True
    )
    steps = StepsField(required=False)


class RunRequestSerializer(StrictSerializer):
    """On what a playbook is to run: exactly one of `device` and `query`."""

    tenant = TenantField()
    device = serializers.CharField(max_length=64, required=False, allow_null=True)
    query = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, trim_whitespace=False
    )
    rate_per_minute = serializers.IntegerField(
        min_value=1,
        max_value=HIGHEST_RATE,
        default=USUAL_RATE,
        help_text="Devices that start in a minute.",
    )


class AnswerSerializer(StrictSerializer):
    """An answer: one of those that the step offers."""

    answer = serializers.CharField()


class RunStepSerializer(Plain):
    """A step that a device has entered, or that it will not enter any more."""

    number = serializers.IntegerField(help_text="From 1; steps of branches count along")
    kind = serializers.ChoiceField(choices=StepKind.choices)
    status = serializers.ChoiceField(choices=StepStatus.choices)
    result = ObjectField(allow_null=True)
    at = serializers.DateTimeField(
        allow_null=True, help_text="Of its status; null: it never entered it."
    )


class RunDeviceSerializer(Plain):
    """A device of a run with its steps."""

    device = serializers.CharField()
    steps = RunStepSerializer(many=True)


class RunSummarySerializer(Plain):
    """A run of a playbook."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    playbook = serializers.SerializerMethodField()
    name = serializers.CharField()
    version = serializers.IntegerField(help_text="The run keeps the steps that it had.")
    status = serializers.ChoiceField(choices=RunStatus.choices)
    query = serializers.CharField(help_text="Empty: it was started for one device.")
    rate_per_minute = serializers.IntegerField()
    device_count = serializers.IntegerField()
    started_by = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_playbook(self, run: PlaybookRun) -> str | None:
        """Return the id of the playbook; None: it is built in, or deleted."""
        return str(run.playbook.public_id) if run.playbook else None

    def get_started_by(self, run: PlaybookRun) -> str | None:
        """Return the user name of the person who started it."""
        return run.started_by.get_username() if run.started_by else None


class PlaybookRunSerializer(RunSummarySerializer):
    """A run with its steps and its devices."""

    steps = StepsField()
    devices = RunDeviceSerializer(
        many=True, help_text=f"The first {SHOWN:,}; `devices/` lists all."
    )


def playbook_data(playbook: AnyPlaybook) -> dict[str, Any]:
    """Return a playbook as the API shows it."""
    own = playbook if isinstance(playbook, Playbook) else None
    by = own.created_by if own else None
    row = {
        "id": str(own.public_id) if own else playbook.key,  # type: ignore[union-attr]
        "tenant": own.tenant.slug if own else None,
        "name": playbook.name,
        "description": playbook.description,
        "version": playbook.version,
        "steps": playbook.steps,
        "built_in": own is None,
        "created_by": by.get_username() if by else None,
        "created_at": own.created_at if own else None,
        "updated_at": own.updated_at if own else None,
    }
    return dict(PlaybookSerializer(row).data)


def devices_data(
    run: PlaybookRun, members: Sequence[PlaybookRunDevice]
) -> list[dict[str, Any]]:
    """Return devices of a run with their steps, in one query."""
    steps = steps_of(run, members)
    rows = [{"device": each.uid, "steps": steps[each.pk]} for each in members]
    return list(RunDeviceSerializer(rows, many=True).data)


def run_data(run: PlaybookRun) -> dict[str, Any]:
    """Return a run with its first devices."""
    members = list(list_run_devices(run)[:SHOWN])
    shown = dict(RunSummarySerializer(run).data)
    return {**shown, "steps": run.steps, "devices": devices_data(run, members)}
