"""The configuration keys that a product declares."""

from django.db import migrations, models

import registry.validators


class Migration(migrations.Migration):
    """With a default of the database, so that it needs no rewrite of the table."""

    dependencies = [
        ("registry", "0019_one_check_of_a_devices_tenant"),
    ]

    operations = [
        migrations.AddField(
            model_name="product",
            name="config_schema",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, output_field=models.JSONField()),
                default=dict,
                validators=[registry.validators.validate_json_schema],
            ),
        ),
    ]
