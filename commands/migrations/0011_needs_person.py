"""Which commands are in the attention inbox."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0010_gateways_and_pauses"),
    ]

    operations = [
        migrations.AddField(
            model_name="command",
            name="needs_person",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
