"""Commands and their history."""

import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models

from commands.migrations._tables import EVENT_COLUMNS, EVENT_INDEXES
from iotplatform.common.migration_operations import partitioned_table, public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Command",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=64)),
            (
                "command_class",
                models.CharField(
                    choices=[
                        ("control", "control"),
                        ("config", "configuration"),
                        ("job", "job"),
                        ("operation", "operation"),
                    ],
                    max_length=16,
                ),
            ),
            ("params", models.JSONField(blank=True, default=dict)),
            ("policy", models.JSONField(default=dict)),
            ("created_at", models.DateTimeField()),
            (
                "status",
                models.CharField(
                    choices=[
                        ("held", "held"),
                        ("queued", "queued"),
                        ("sent", "sent"),
                        ("received", "received"),
                        ("running", "running"),
                        ("succeeded", "succeeded"),
                        ("verified", "verified"),
                        ("failed", "failed"),
                        ("timed_out", "timed out"),
                        ("unknown", "unknown"),
                        ("expired", "expired"),
                        ("cancelled", "cancelled"),
                        ("superseded", "superseded"),
                    ],
                    max_length=16,
                ),
            ),
            ("status_since", models.DateTimeField()),
            (
                "waits_for",
                models.CharField(
                    blank=True,
                    choices=[
                        ("", "nothing"),
                        ("device", "the device"),
                        ("time", "a time"),
                        ("gateway", "its gateway"),
                        ("approval", "an approval"),
                    ],
                    default="",
                    max_length=8,
                ),
            ),
            (
                "failure_class",
                models.CharField(
                    blank=True,
                    choices=[
                        ("unreachable", "unreachable"),
                        ("gateway_unreachable", "gateway not reachable"),
                        ("no_ack", "no acknowledgement"),
                        ("rejected", "rejected"),
                        ("execution_failed", "execution failed"),
                        ("execution_timeout", "execution timeout"),
                        ("unverified", "unverified"),
                        ("adapter_error", "adapter error"),
                        ("expired", "expired"),
                        ("unknown_outcome", "unknown outcome"),
                    ],
                    default="",
                    max_length=24,
                ),
            ),
            ("late", models.BooleanField(default=False)),
            ("expires_at", models.DateTimeField()),
            ("due_at", models.DateTimeField(blank=True, null=True)),
            ("claim_token", models.UUIDField(blank=True, null=True)),
            ("claimed_until", models.DateTimeField(blank=True, null=True)),
            ("attempt_count", models.PositiveIntegerField(default=0)),
            ("uncounted_attempts", models.PositiveIntegerField(default=0)),
            ("sent_at", models.DateTimeField(blank=True, null=True)),
            ("received_at", models.DateTimeField(blank=True, null=True)),
            ("running_at", models.DateTimeField(blank=True, null=True)),
            ("succeeded_at", models.DateTimeField(blank=True, null=True)),
            ("verified_at", models.DateTimeField(blank=True, null=True)),
            ("ended_at", models.DateTimeField(blank=True, null=True)),
            ("expectation", models.JSONField(blank=True, null=True)),
            ("desired_version", models.PositiveBigIntegerField(blank=True, null=True)),
            ("result", models.JSONField(blank=True, null=True)),
            (
                "device",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "requested_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "retry_of",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="commands.command",
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
            (
                "job",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="commands.job",
                ),
            ),
            ("clock_stopped_at", models.DateTimeField(blank=True, null=True)),
            (
                "adapter",
                models.CharField(
                    choices=[("mqtt", "MQTT"), ("http", "HTTP")],
                    db_default="mqtt",
                    default="mqtt",
                    max_length=16,
                ),
            ),
            (
                "lane",
                models.PositiveSmallIntegerField(
                    choices=[
                        (0, "control"),
                        (1, "person"),
                        (2, "retry"),
                        (3, "job"),
                        (4, "by hand"),
                    ],
                    db_default=1,
                    default=1,
                ),
            ),
            (
                "job_queue",
                models.GeneratedField(
                    db_persist=True,
                    expression=django.db.models.functions.comparison.Coalesce(
                        "job", 0, output_field=models.BigIntegerField()
                    ),
                    output_field=models.BigIntegerField(),
                ),
            ),
            ("needs_person", models.BooleanField(db_default=False, default=False)),
            ("approved_at", models.DateTimeField(blank=True, null=True)),
            ("failure_rules", models.JSONField(blank=True, null=True)),
            ("is_disconnecting", models.BooleanField(db_default=False, default=False)),
            ("is_repeatable", models.BooleanField(db_default=False, default=False)),
            ("needs_approval", models.BooleanField(db_default=False, default=False)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(
                        ("due_at__isnull", False),
                        models.Q(
                            models.Q(("status", "queued"), _negated=True),
                            ("claim_token__isnull", False),
                            _connector="OR",
                        ),
                    ),
                    fields=["due_at", "id"],
                    name="commands_to_look_at",
                ),
                models.Index(
                    condition=models.Q(
                        ("claim_token__isnull", True), ("status", "queued")
                    ),
                    fields=["expires_at", "id"],
                    name="commands_to_expire",
                ),
                models.Index(
                    condition=models.Q(("ended_at__isnull", True)),
                    fields=["device", "status"],
                    name="commands_open_by_device",
                ),
                models.Index(
                    condition=models.Q(
                        ("expectation__isnull", False),
                        ("status__in", ["timed_out", "unknown", "expired", "failed"]),
                    ),
                    fields=["device", "name"],
                    name="commands_correctable",
                ),
                models.Index(fields=["device", "-id"], name="commands_by_device"),
                models.Index(fields=["tenant", "-id"], name="commands_by_tenant"),
                models.Index(
                    condition=models.Q(("job__isnull", False)),
                    fields=["job", "status"],
                    name="commands_by_job",
                ),
                models.Index(
                    condition=models.Q(
                        ("claim_token__isnull", True), ("status", "queued")
                    ),
                    fields=["adapter", "lane", "tenant", "job_queue", "due_at", "id"],
                    name="commands_to_claim",
                ),
                models.Index(
                    condition=models.Q(("status", "held"), ("waits_for", "gateway")),
                    fields=["failure_class", "id"],
                    name="commands_behind_gateway",
                ),
                models.Index(
                    condition=models.Q(("retry_of__isnull", False)),
                    fields=["retry_of"],
                    name="commands_retries",
                ),
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("ended_at__isnull", False),
                        ("due_at__isnull", False),
                        _connector="OR",
                    ),
                    name="commands_open_is_due_some_time",
                )
            ],
        },
    ),
    partitioned_table(
        migrations.CreateModel(
            name="CommandEvent",
            fields=[
                row_id(),
                ("at", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("held", "held"),
                            ("queued", "queued"),
                            ("sent", "sent"),
                            ("received", "received"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("verified", "verified"),
                            ("failed", "failed"),
                            ("timed_out", "timed out"),
                            ("unknown", "unknown"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                            ("superseded", "superseded"),
                        ],
                        max_length=16,
                    ),
                ),
                ("actor", models.CharField(max_length=200)),
                ("cause", models.TextField(blank=True)),
                ("detail", models.JSONField(blank=True, null=True)),
                (
                    "command",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="commands.command",
                    ),
                ),
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
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={"db_table": "commands_commandevent"},
        ),
        columns=EVENT_COLUMNS,
        key="at",
        indexes=EVENT_INDEXES,
    ),
]
