"""Commands of children whose gateway is not online, and of approvals."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0012_command_definitions"),
        ("registry", "0018_past_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="command",
            name="commands_behind_gateway",
        ),
        migrations.AlterField(
            model_name="command",
            name="failure_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("unreachable", "unreachable"),
                    ("gateway_unreachable", "gateway not reachable"),
                    ("no_ack", "no acknowledgement"),
                    ("rejected", "rejected"),
                    ("execution_failed", "execution failed"),
                    ("execution_timeout", "execution timeout"),
                    ("unverified", "unverified"),
                    ("adapter_error", "adapter error"),
                    ("expired", "expired"),
                    ("unknown_outcome", "unknown outcome"),
                ],
                default="",
                max_length=24,
            ),
        ),
        migrations.AlterField(
            model_name="command",
            name="waits_for",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "nothing"),
                    ("device", "the device"),
                    ("time", "a time"),
                    ("gateway", "its gateway"),
                    ("approval", "an approval"),
                ],
                default="",
                max_length=8,
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("status", "held"), ("waits_for", "gateway")),
                fields=["failure_class", "id"],
                name="commands_behind_gateway",
            ),
        ),
    ]
