"""A device that was registered in the past says so; the database does not change."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Let a service set when a device was registered."""

    dependencies = [("registry", "0021_audit_ids_by_statement")]
    operations = [
        migrations.AlterField(
            "device",
            "created_at",
            models.DateTimeField(default=django.utils.timezone.now, editable=False),
        )
    ]
