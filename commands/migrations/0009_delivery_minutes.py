"""How well each adapter delivers, minute by minute."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0008_claim_queues"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeliveryMinute",
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
                    "adapter",
                    models.CharField(
                        choices=[("mqtt", "MQTT"), ("http", "HTTP")], max_length=16
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("answered", models.PositiveIntegerField(default=0)),
                ("unanswered", models.PositiveIntegerField(default=0)),
                ("latencies", models.JSONField(default=dict)),
                ("counted_until", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("minute", "adapter"),
                        name="commands_delivery_minute_once",
                    )
                ],
            },
        ),
    ]
