"""The audit log's triggers on accounts at an identity provider: who connected which."""

from django.db import migrations

from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Have changes of allauth's table recorded; what the provider tells moves alone."""

    dependencies = [
        ("registry", "0014_device_imports"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [
        audit_changes(
            "socialaccount_socialaccount",
            kind="social_account",
            ignored=["extra_data"],
        )
    ]
