"""Standing policies, their members, and their compliance over time."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """The log has what people change, not what a sweep notes."""

    dependencies = [
        ("fleet", "0012_bulk_edits"),
        ("registry", "0020_config_schema"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StandingPolicy",
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
                ("name", models.CharField(max_length=200)),
                ("desired", models.JSONField(null=True)),
                ("firmware_version", models.CharField(blank=True, max_length=64)),
                (
                    "priority",
                    models.IntegerField(
                        default=0,
                        validators=[
                            django.core.validators.MinValueValidator(-1000),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "rate_per_minute",
                    models.PositiveIntegerField(
                        default=600,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(60000),
                        ],
                    ),
                ),
                ("is_enabled", models.BooleanField(default=True)),
                ("asked_at", models.DateTimeField()),
                ("looked_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "cohort",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="fleet.cohort",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "release",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="registry.firmwarerelease",
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
        migrations.CreateModel(
            name="PolicyMember",
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
                ("is_due", models.BooleanField(default=True)),
                ("patch", models.JSONField(null=True)),
                ("kept", models.JSONField(null=True)),
                ("overruled", models.JSONField(default=dict)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("handed_at", models.DateTimeField(null=True)),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
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
                (
                    "policy",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="fleet.standingpolicy",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PolicyCompliance",
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
                ("total", models.PositiveIntegerField()),
                ("compliant", models.PositiveIntegerField()),
                ("overruled", models.PositiveIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="fleet.standingpolicy",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="standingpolicy",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="fleet_policy_name_once_per_tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="standingpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("desired__isnull", True), ("firmware_version", ""), _connector="OR"
                ),
                name="fleet_policy_is_of_one_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="policymember",
            index=models.Index(
                condition=models.Q(("is_due", True)),
                fields=["policy", "id"],
                name="fleet_policy_member_due",
            ),
        ),
        migrations.AddIndex(
            model_name="policymember",
            index=models.Index(
                condition=models.Q(("handed_at__isnull", False)),
                fields=["policy", "handed_at"],
                name="fleet_policy_member_handed",
            ),
        ),
        migrations.AddConstraint(
            model_name="policymember",
            constraint=models.UniqueConstraint(
                fields=("policy", "device"), name="fleet_member_once_per_policy"
            ),
        ),
        migrations.AddConstraint(
            model_name="policycompliance",
            constraint=models.UniqueConstraint(
                fields=("policy", "at"), name="fleet_compliance_once_at_a_time"
            ),
        ),
        audit_changes(
            "fleet_standingpolicy", kind="standing_policy", ignored=["looked_at"]
        ),
    ]
