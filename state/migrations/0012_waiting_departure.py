"""Departures of sessions that are not born here yet wait for their birth."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the columns; none is indexed."""

    dependencies = [
        ("state", "0011_presence_sample"),
    ]

    operations = [
        migrations.AddField(
            model_name="presence",
            name="waiting_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="presence",
            name="waiting_how",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "none"),
                    ("will", "last will with its session"),
                    ("bare_will", "last will without a session"),
                    ("goodbye", "goodbye"),
                ],
                db_default="",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="presence",
            name="waiting_session",
            field=models.CharField(blank=True, db_default="", max_length=64),
        ),
    ]
