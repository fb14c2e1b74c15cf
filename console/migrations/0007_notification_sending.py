"""Messages of notification rules, and the order in which a target gets them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0006_notification_rules"),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="incident",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="console.incident",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="rule",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="console.notificationrule",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="step",
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="notification",
            name="tell_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="notification",
            name="channel",
            field=models.CharField(
                choices=[("webhook", "webhook"), ("mail", "mail"), ("chat", "chat")],
                max_length=8,
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("status", "pending"), ("webhook", None)),
                fields=["order_key", "id"],
                name="console_notification_to_tell",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("status", "delivered"), ("webhook", None)),
                fields=["order_key", "delivered_at"],
                name="console_notification_told",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                fields=("rule", "incident", "step"), name="console_told_once_per_step"
            ),
        ),
    ]
