"""The audit log, and its triggers on what people change in the registry."""

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes
from registry.migrations._audit import CREATE, DROP


class Migration(migrations.Migration):
    """Make the table, the function, what keeps it append-only, and the triggers."""

    dependencies = [
        ("registry", "0004_enrolment_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
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
                ("at", models.DateTimeField()),
                ("kind", models.CharField(max_length=64)),
                ("object_id", models.CharField(max_length=64)),
                ("object_name", models.CharField(blank=True, max_length=200)),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("created", "created"),
                            ("changed", "changed"),
                            ("deleted", "deleted"),
                        ],
                        max_length=8,
                    ),
                ),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("actor", models.CharField(blank=True, max_length=150)),
                ("token_name", models.CharField(blank=True, max_length=100)),
                ("door", models.CharField(blank=True, max_length=16)),
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
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.project",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.site",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.apitoken",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "indexes": [
                    models.Index(
                        fields=["tenant", "-id"], name="registry_audit_by_tenant"
                    ),
                    models.Index(
                        fields=["tenant", "at"], name="registry_audit_by_time"
                    ),
                    models.Index(
                        django.contrib.postgres.indexes.OpClass(
                            models.F("object_name"), name="varchar_pattern_ops"
                        ),
                        models.OrderBy(models.F("id"), descending=True),
                        name="registry_audit_by_name",
                    ),
                    models.Index(
                        fields=["object_id", "-id"], name="registry_audit_by_object"
                    ),
                    models.Index(
                        condition=models.Q(("user__isnull", False)),
                        fields=["user", "-id"],
                        name="registry_audit_by_user",
                    ),
                    models.Index(
                        condition=models.Q(("device__isnull", False)),
                        fields=["device", "-id"],
                        name="registry_audit_by_device",
                    ),
                ],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
        audit_changes("registry_tenant", kind="tenant"),
        audit_changes("registry_project", kind="project"),
        audit_changes("registry_site", kind="site"),
        audit_changes("registry_product", kind="product"),
        audit_changes("registry_device", kind="device", ignored=["gateway_kind"]),
        audit_changes(
            "registry_credential",
            kind="credential",
            secrets=["verifier"],
            ignored=["published_at", "withdrawn_at"],
        ),
        audit_changes(
            "registry_enrolmentkey",
            kind="enrolment_key",
            secrets=["digest"],
            ignored=["used_count"],
        ),
        audit_changes("registry_user", kind="user", secrets=["password"]),
        audit_changes("registry_user_groups", kind="user_groups"),
        audit_changes("registry_user_user_permissions", kind="user_user_permissions"),
        audit_changes("registry_membership", kind="membership"),
        audit_changes("registry_apitoken", kind="api_token", secrets=["digest"]),
        audit_changes("auth_group", kind="group"),
        audit_changes("auth_group_permissions", kind="group_permissions"),
    ]
