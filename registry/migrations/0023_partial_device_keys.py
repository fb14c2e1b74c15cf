"""Keys that most rows leave empty are indexed only where they name something.

An import writes six index entries a device less.
"""

from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.models import CASCADE, PROTECT, SET_NULL, Q


def _key(to: str, on_delete: Any, **options: Any) -> Any:
    return models.ForeignKey(
        to, on_delete=on_delete, db_index=False, related_name="+", **options
    )


def _key_of_device(field: str, to: str) -> migrations.AlterField:
    options = {"null": True, "blank": True, "db_constraint": False}
    return migrations.AlterField("device", field, _key(to, PROTECT, **options))


def _index_where_set(model: str, field: str, name: str) -> migrations.AddIndex:
    condition = Q(**{f"{field}__isnull": False})
    index = models.Index(fields=[field], name=name, condition=condition)
    return migrations.AddIndex(model, index)


class Migration(migrations.Migration):
    """Replace indexes of whole keys by partial ones."""

    dependencies = [("registry", "0022_device_registered_at")]
    operations = [
        _key_of_device("space", "registry.space"),
        _key_of_device("hardware_revision", "registry.hardwarerevision"),
        _key_of_device("batch", "registry.batch"),
        _key_of_device("gateway", "registry.device"),
        migrations.AlterField(
            "lifecyclemove", "device", _key("registry.device", CASCADE)
        ),
        migrations.AlterField(
            "lifecyclemove",
            "actor",
            _key(settings.AUTH_USER_MODEL, SET_NULL, null=True),
        ),
        migrations.AlterField(
            "lifecyclemove",
            "replaced_by",
            _key("registry.device", SET_NULL, null=True, blank=True),
        ),
        _index_where_set("device", "space", "registry_device_of_space"),
        _index_where_set("device", "hardware_revision", "registry_device_of_revision"),
        _index_where_set("device", "batch", "registry_device_of_batch"),
        _index_where_set("device", "gateway", "registry_device_of_gateway"),
        _index_where_set("lifecyclemove", "actor", "registry_move_by_actor"),
        _index_where_set("lifecyclemove", "replaced_by", "registry_move_by_successor"),
    ]
