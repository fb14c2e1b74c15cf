"""The database roles of the processes, and the functions that policies stand on.

Roles belong to the server, not to a database: another database of the same server may
have made them already, and going back leaves them there. What they may do on a table,
``migrate`` says at its end (``iotplatform/database/row_security.py``).
"""

from typing import Any

from django.db import migrations

from iotplatform.database.row_security import prepare_roles


def prepare(apps: Any, schema_editor: Any) -> None:
    """Make them, where they are not there yet."""
    prepare_roles()


class Migration(migrations.Migration):
    """Make the roles; they own nothing."""

    dependencies = [("registry", "0001_initial")]
    operations = [migrations.RunPython(prepare, migrations.RunPython.noop)]
