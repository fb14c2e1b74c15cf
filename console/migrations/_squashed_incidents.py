"""Incidents."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Incident",
        fields=[
            row_id(),
            public_id(),
            ("number", models.PositiveIntegerField()),
            (
                "cause",
                models.CharField(
                    choices=[
                        ("platform", "the platform"),
                        ("adapter", "the adapter path"),
                        ("gateway", "a gateway"),
                        ("site", "a site"),
                        ("cohort", "a firmware or batch"),
                        ("job", "a job"),
                        ("device", "a device"),
                        ("drift", "configuration drift"),
                        ("command", "commands"),
                    ],
                    max_length=8,
                ),
            ),
            (
                "object_kind",
                models.CharField(
                    choices=[
                        ("platform", "platform"),
                        ("adapter", "adapter"),
                        ("gateway", "gateway"),
                        ("site", "site"),
                        ("firmware", "firmware"),
                        ("batch", "batch"),
                        ("job", "job"),
                        ("device", "device"),
                        ("command", "command"),
                    ],
                    max_length=8,
                ),
            ),
            ("object_id", models.CharField(max_length=160)),
            ("object_name", models.CharField(max_length=200)),
            ("title", models.TextField()),
            (
                "severity",
                models.CharField(
                    choices=[
                        ("info", "info"),
                        ("warning", "warning"),
                        ("critical", "critical"),
                    ],
                    max_length=8,
                ),
            ),
            (
                "status",
                models.CharField(
                    choices=[
                        ("open", "open"),
                        ("acknowledged", "acknowledged"),
                        ("snoozed", "snoozed"),
                        ("resolved", "resolved"),
                    ],
                    default="open",
                    max_length=12,
                ),
            ),
            ("regressed", models.BooleanField(default=False)),
            ("first_evidence_at", models.DateTimeField()),
            ("opened_at", models.DateTimeField()),
            ("acknowledged_at", models.DateTimeField(null=True)),
            ("snoozed_until", models.DateTimeField(null=True)),
            ("resolved_at", models.DateTimeField(null=True)),
            ("resolution", models.CharField(blank=True, max_length=200)),
            ("calm_since", models.DateTimeField(null=True)),
            ("device_count", models.PositiveIntegerField(default=0)),
            ("acknowledge_due_at", models.DateTimeField(null=True)),
            ("resolve_due_at", models.DateTimeField(null=True)),
            (
                "absorbed_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="console.incident",
                ),
            ),
            (
                "assignee",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            ("alarm_count", models.PositiveIntegerField(db_default=0)),
            ("claim_until", models.DateTimeField(null=True)),
            ("is_held_open", models.BooleanField(db_default=False, default=False)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("status", "resolved"), _negated=True),
                    fields=["tenant", "-id"],
                    name="console_incident_open",
                ),
                models.Index(
                    fields=["tenant", "-id"], name="console_incident_by_tenant"
                ),
                models.Index(
                    condition=models.Q(("resolved_at__isnull", False)),
                    fields=["resolved_at"],
                    name="console_incident_resolved",
                ),
                models.Index(
                    fields=["tenant", "object_id", "cause"], name="console_incident_of"
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("status", "resolved"), _negated=True),
                    fields=("tenant", "cause", "object_kind", "object_id"),
                    name="console_one_open_incident",
                ),
                models.UniqueConstraint(
                    fields=("tenant", "number"), name="console_incident_number"
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="IncidentEvent",
        fields=[
            row_id(),
            ("at", models.DateTimeField()),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("opened", "opened"),
                        ("regressed", "came back"),
                        ("grew", "more devices"),
                        ("absorbed", "absorbed another incident"),
                        ("claimed", "claimed"),
                        ("released", "released"),
                        ("assigned", "assigned"),
                        ("acknowledged", "acknowledged"),
                        ("snoozed", "snoozed"),
                        ("woke", "the snooze ended"),
                        ("note", "note"),
                        ("resolved", "resolved"),
                        ("reopened", "reopened"),
                        ("merged", "merged into another incident"),
                        ("clock_stopped", "clock stopped"),
                        ("clock_continued", "clock continued"),
                    ],
                    max_length=16,
                ),
            ),
            ("text", models.TextField(blank=True)),
            (
                "actor",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "incident",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="events",
                    to="console.incident",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["incident", "id"], name="console_event_of")
            ]
        },
    ),
    migrations.CreateModel(
        name="IncidentInterval",
        fields=[
            row_id(),
            ("from_at", models.DateTimeField()),
            ("until", models.DateTimeField(null=True)),
            (
                "incident",
                models.ForeignKey(
                    on_delete=models.CASCADE,
                    related_name="intervals",
                    to="console.incident",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("until", None)),
                    fields=("incident",),
                    name="console_one_running_clock",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="IncidentMember",
        fields=[
            row_id(),
            ("since", models.DateTimeField()),
            ("until", models.DateTimeField(null=True)),
            (
                "device",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "incident",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="members",
                    to="console.incident",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["device"], name="console_member_device"),
                models.Index(
                    condition=models.Q(("until", None)),
                    fields=["incident"],
                    name="console_member_live",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("incident", "device"), name="console_member_once"
                )
            ],
        },
    ),
]
