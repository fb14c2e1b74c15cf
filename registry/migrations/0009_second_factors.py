"""The audit log's triggers on second factors: put on, taken off; never their secrets."""

from django.db import migrations

from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Have changes of allauth's table recorded."""

    dependencies = [
        ("registry", "0008_spaces_and_batches"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]
    operations = [
        audit_changes("mfa_authenticator", kind="authenticator", secrets=["data"])
    ]
