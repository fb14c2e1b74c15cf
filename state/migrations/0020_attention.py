"""The attention inbox."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0018_past_devices"),
        ("state", "0019_maintenance_in_force"),
    ]

    operations = [
        migrations.CreateModel(
            name="AttentionEntry",
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("command", "command"),
                            ("job", "job"),
                            ("approval", "approval"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "object_kind",
                    models.CharField(
                        choices=[("command", "command"), ("job", "job")], max_length=8
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
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
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
