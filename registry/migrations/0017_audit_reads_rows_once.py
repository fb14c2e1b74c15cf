"""The audit log's function turns each row into JSON once, and not a dozen times."""

from django.db import migrations

from registry.migrations._audit import FUNCTION

REPLACE = FUNCTION.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    """Replace the function that earlier databases have."""

    dependencies = [("registry", "0016_uids_in_any_case")]
    operations = [migrations.RunSQL(REPLACE, migrations.RunSQL.noop)]
