"""Incidents, their events, devices and clocks, and SLA policies."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0001_attention"),
        ("registry", "0018_past_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Incident",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "public_id",
                    models.UUIDField(
                        default=iotplatform.common.ids.new_public_id,
                        editable=False,
                        unique=True,
                    ),
                ),
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
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="console.incident",
                    ),
                ),
                (
                    "assignee",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="attentionitem",
            name="incident",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="console.incident",
            ),
        ),
        migrations.CreateModel(
            name="IncidentEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
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
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="console.incident",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="IncidentInterval",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("from_at", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="intervals",
                        to="console.incident",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="IncidentMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="console.incident",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SlaPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "public_id",
                    models.UUIDField(
                        default=iotplatform.common.ids.new_public_id,
                        editable=False,
                        unique=True,
                    ),
                ),
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
                    "acknowledge_minutes",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "resolve_minutes",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("status", "resolved"), _negated=True),
                fields=["tenant", "-id"],
                name="console_incident_open",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["tenant", "-id"], name="console_incident_by_tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("resolved_at__isnull", False)),
                fields=["resolved_at"],
                name="console_incident_resolved",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "resolved"), _negated=True),
                fields=("tenant", "cause", "object_kind", "object_id"),
                name="console_one_open_incident",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                fields=("tenant", "number"), name="console_incident_number"
            ),
        ),
        migrations.AddIndex(
            model_name="incidentevent",
            index=models.Index(fields=["incident", "id"], name="console_event_of"),
        ),
        migrations.AddConstraint(
            model_name="incidentinterval",
            constraint=models.UniqueConstraint(
                condition=models.Q(("until", None)),
                fields=("incident",),
                name="console_one_running_clock",
            ),
        ),
        migrations.AddIndex(
            model_name="incidentmember",
            index=models.Index(fields=["device"], name="console_member_device"),
        ),
        migrations.AddConstraint(
            model_name="incidentmember",
            constraint=models.UniqueConstraint(
                fields=("incident", "device"), name="console_member_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="slapolicy",
            constraint=models.UniqueConstraint(
                fields=("tenant", "severity"), name="console_one_policy_per_severity"
            ),
        ),
        audit_changes(
            "console_incident",
            kind="incident",
            # They change by themselves.
            ignored=("calm_since", "device_count"),
        ),
        audit_changes("console_slapolicy", kind="sla_policy"),
    ]
