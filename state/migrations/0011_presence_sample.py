"""A random sample of a tenant's devices, by the hash of their keys."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0015_connections"),
        ("state", "0010_maintenance_places"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="presence",
            index=models.Index(
                models.F("tenant"),
                models.Func("device", function="hashint8"),
                name="state_presence_sample",
            ),
        ),
    ]
