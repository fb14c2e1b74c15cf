"""The audit log's function asks for randomness once a statement, not once a row."""

from django.db import migrations

from registry.migrations._audit import FUNCTION

REPLACE = FUNCTION.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    """Replace the function that earlier databases have."""

    dependencies = [("registry", "0020_config_schema")]
    operations = [migrations.RunSQL(REPLACE, migrations.RunSQL.noop)]
