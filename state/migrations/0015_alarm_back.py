"""When an alarm that comes and goes last came back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column; of what came back before, the time is not known."""

    dependencies = [
        ("state", "0014_event_order"),
    ]

    operations = [
        migrations.AddField(
            model_name="alarm",
            name="back_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
