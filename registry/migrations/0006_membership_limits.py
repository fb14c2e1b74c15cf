"""Projects and sites that a member may be limited to."""

import django.db.models.deletion
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Make the table, and have its changes recorded."""

    dependencies = [
        ("registry", "0005_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name="MembershipLimit",
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
                    "membership",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="registry.membership",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.project",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.site",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("project__isnull", True), ("site__isnull", False)
                            ),
                            models.Q(
                                ("project__isnull", False), ("site__isnull", True)
                            ),
                            _connector="OR",
                        ),
                        name="registry_limit_is_project_or_site",
                    ),
                    models.UniqueConstraint(
                        fields=("membership", "project"),
                        name="registry_limit_project_once",
                    ),
                    models.UniqueConstraint(
                        fields=("membership", "site"), name="registry_limit_site_once"
                    ),
                ],
            },
        ),
        audit_changes("registry_membershiplimit", kind="membership_limit"),
    ]
