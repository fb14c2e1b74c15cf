"""Maintenance, risk, and what needs attention."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="MaintenanceWindow",
        fields=[
            row_id(),
            public_id(),
            ("from_at", models.DateTimeField()),
            ("until", models.DateTimeField()),
            ("reason", models.CharField(max_length=200)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            (
                "created_by",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
            ("origin", models.CharField(blank=True, default="", max_length=64)),
        ],
        options={
            "indexes": [models.Index(fields=["until"], name="state_window_until")],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("until__gt", models.F("from_at"))),
                    name="state_window_lasts",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("origin", ""), _negated=True),
                    fields=("tenant", "origin"),
                    name="state_one_window_per_origin",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="MaintenancePlace",
        fields=[
            row_id(),
            ("from_at", models.DateTimeField()),
            ("until", models.DateTimeField()),
            (
                "device",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "site",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="registry.site",
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
                "window",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="state.maintenancewindow",
                ),
            ),
            ("is_in_force", models.BooleanField(db_default=False, editable=False)),
        ],
        options={
            "indexes": [
                models.Index(fields=["device", "until"], name="state_place_device"),
                models.Index(fields=["site", "until"], name="state_place_site"),
                models.Index(fields=["window", "until"], name="state_place_window"),
                models.Index(
                    condition=models.Q(("is_in_force", True)),
                    fields=["device"],
                    name="state_place_device_in_force",
                ),
                models.Index(
                    condition=models.Q(("is_in_force", True)),
                    fields=["site"],
                    name="state_place_site_in_force",
                ),
                models.Index(
                    condition=models.Q(("is_in_force", True)),
                    fields=["until"],
                    name="state_place_ends",
                ),
                models.Index(
                    condition=models.Q(("is_in_force", False)),
                    fields=["until"],
                    name="state_place_begins",
                ),
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("device__isnull", False), ("site__isnull", True)),
                        models.Q(("device__isnull", True), ("site__isnull", False)),
                        _connector="OR",
                    ),
                    name="state_place_is_a_device_or_a_site",
                ),
                models.CheckConstraint(
                    condition=models.Q(("until__gt", models.F("from_at"))),
                    name="state_place_lasts",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("device__isnull", False)),
                    fields=("window", "device"),
                    name="state_place_once_per_device",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("site__isnull", False)),
                    fields=("window", "site"),
                    name="state_place_once_per_site",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Risk",
        fields=[
            (
                "device",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="registry.device",
                ),
            ),
            ("score", models.PositiveSmallIntegerField(default=0)),
            ("reasons", models.JSONField(default=list)),
            ("at", models.DateTimeField()),
            ("next_change_at", models.DateTimeField(null=True)),
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
                models.Index(
                    condition=models.Q(("next_change_at__isnull", False)),
                    fields=["next_change_at"],
                    name="state_risk_due",
                )
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("score__lte", 100)),
                    name="state_risk_is_at_most_100",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="RiskMark", fields=[row_id(), ("device_id", models.BigIntegerField())]
    ),
    migrations.CreateModel(
        name="CommandTally",
        fields=[
            (
                "device",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="registry.device",
                ),
            ),
            ("ended", models.PositiveSmallIntegerField(default=0)),
            ("failed", models.PositiveSmallIntegerField(default=0)),
            ("last_failed_at", models.DateTimeField(null=True)),
            ("at", models.DateTimeField()),
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
    ),
    migrations.CreateModel(
        name="LastFinding",
        fields=[
            (
                "device",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="registry.device",
                ),
            ),
            (
                "trouble",
                models.CharField(
                    choices=[
                        ("blind", "the platform was not listening"),
                        ("garbled", "only invalid messages"),
                        ("silent", "not online"),
                        ("commands", "commands fail"),
                        ("alarm", "critical alarm"),
                        ("flapping", "keeps disconnecting"),
                        ("none", "nothing"),
                    ],
                    max_length=16,
                ),
            ),
            (
                "verdict",
                models.CharField(
                    choices=[
                        ("device", "the device"),
                        ("network", "the network"),
                        ("adapter_path", "the adapter path"),
                        ("platform", "the platform"),
                        ("interpretation", "our interpretation"),
                        ("cannot_tell", "cannot tell"),
                    ],
                    max_length=16,
                ),
            ),
            ("trait", models.CharField(blank=True, max_length=16)),
            ("at", models.DateTimeField()),
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
    ),
    migrations.CreateModel(
        name="AttentionEntry",
        fields=[
            row_id(),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("command", "command"),
                        ("job", "job"),
                        ("approval", "approval"),
                        ("playbook_step", "playbook step"),
                    ],
                    max_length=16,
                ),
            ),
            (
                "object_kind",
                models.CharField(
                    choices=[
                        ("command", "command"),
                        ("job", "job"),
                        ("playbook_run", "playbook run"),
                    ],
                    max_length=16,
                ),
            ),
            ("object_id", models.UUIDField()),
            ("episode", models.CharField(max_length=40)),
            ("reason", models.TextField()),
            ("at", models.DateTimeField()),
            ("over_at", models.DateTimeField(null=True)),
            ("is_taken", models.BooleanField(db_default=False, default=False)),
            (
                "device",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
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
                models.Index(
                    condition=models.Q(("is_taken", False)),
                    fields=["id"],
                    name="state_attention_to_take",
                ),
                models.Index(
                    condition=models.Q(("over_at__isnull", False)),
                    fields=["over_at"],
                    name="state_attention_over",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("object_id", "kind", "episode"),
                    name="state_attention_once_per_episode",
                )
            ],
        },
    ),
]
