"""Two uids never differ only in upper and lower case."""

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.functions import Lower

COLLISIONS = """
    SELECT string_agg(uid, ' = ' ORDER BY uid) FROM registry_device
    GROUP BY lower(uid) HAVING count(*) > 1 ORDER BY 1
"""
ADVICE = """Some uids differ only in upper and lower case, which is no longer allowed:

{uids}

Nothing was changed. Of each line keep one device and delete the others, or give them
other uids in the database and on the devices. Then run migrate again."""


def refuse_collisions(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Stop with the list of the colliding uids, if there are any."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(COLLISIONS)
        lines = [uids for (uids,) in cursor.fetchall()]
    if lines:
        raise ValueError(ADVICE.format(uids="\n".join(lines)))


class Migration(migrations.Migration):
    """Add the constraint; the exact index of uids stays for look-ups."""

    dependencies = [("registry", "0015_connections")]
    operations = [
        migrations.RunPython(refuse_collisions, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.UniqueConstraint(
                Lower("uid"),
                name="registry_device_uid_once_in_any_case",
                violation_error_message="This uid is already taken, in another case.",
            ),
        ),
    ]
