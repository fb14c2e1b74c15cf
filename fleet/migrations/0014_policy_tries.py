"""What a policy has handed out last to a device, and how often."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Commands of before are not known, and not sent again."""

    dependencies = [("fleet", "0013_standing_policies")]

    operations = [
        migrations.AddField(
            model_name="policymember",
            name="command",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="policymember",
            name="tries",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
    ]
