"""A uid is not the name of an address of the API."""

import django.core.validators
from django.db import migrations, models

import registry.validators


class Migration(migrations.Migration):
    """Say it of the column; the database has nothing to change."""

    dependencies = [
        ("registry", "0011_relations"),
    ]

    operations = [
        migrations.AlterField(
            model_name="device",
            name="uid",
            field=models.CharField(
                max_length=64,
                unique=True,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\\Z",
                        "1 to 64 letters, digits, '.', '_' or '-', beginning with a"
                        " letter or digit.",
                    ),
                    registry.validators.validate_uid_is_free,
                ],
            ),
        ),
    ]
