"""Keys that cannot lie, firmware releases, imports, and what devices were."""

from typing import Any

import django.core.validators
from django.db import migrations, models
from django.db.models.functions import Lower

import registry.validators
from iotplatform.common.audit import audit_changes
from iotplatform.common.migration_operations import Together
from registry.migrations import (
    _firmware,
    _past_devices,
    _relations,
    _squashed_firmware,
)

# The plain keys, whose constraints those of _relations.py replace: model → column → to,
# and whether it may be empty.
LOOSENED = {
    "batch": {"hardware_revision": ("hardwarerevision", False)},
    "device": {
        "batch": ("batch", True),
        "gateway": ("device", True),
        "hardware_revision": ("hardwarerevision", True),
        "product": ("product", False),
        "project": ("project", True),
        "site": ("site", False),
        "space": ("space", True),
    },
    "enrolmentkey": {"product": ("product", False), "site": ("site", False)},
    "hardwarerevision": {"product": ("product", False)},
    "site": {"project": ("project", True)},
    "space": {"parent": ("space", True), "site": ("site", False)},
}


def loose(to: str, *, may_be_empty: bool) -> models.ForeignKey[Any]:
    """Return a key without a constraint of its own."""
    more: dict[str, Any] = {"blank": True, "null": True} if may_be_empty else {}
    return models.ForeignKey(
        db_constraint=False,
        on_delete=models.PROTECT,
        related_name="+",
        to=f"registry.{to}",
        **more,
    )


LOOSEN = [
    migrations.AlterField(model, name, loose(to, may_be_empty=may_be_empty))
    for model, keys in LOOSENED.items()
    for name, (to, may_be_empty) in keys.items()
]


class Migration(migrations.Migration):
    """An empty database takes this way; one that began before it, the old files."""

    replaces = [
        ("registry", "0009_second_factors"),
        ("registry", "0010_enrolment_batches"),
        ("registry", "0011_relations"),
        ("registry", "0012_reserved_uids"),
        ("registry", "0013_firmware_releases"),
        ("registry", "0014_device_imports"),
        ("registry", "0015_connections"),
        ("registry", "0016_uids_in_any_case"),
        ("registry", "0017_audit_reads_rows_once"),
        ("registry", "0018_past_devices"),
        ("registry", "0019_one_check_of_a_devices_tenant"),
        ("registry", "0020_config_schema"),
    ]
    dependencies = [
        ("registry", "0001_squashed_0008_spaces_and_batches"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [
        Together(
            [
                *LOOSEN,
                migrations.AlterField(
                    "device",
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                migrations.AlterField(
                    "device",
                    "uid",
                    models.CharField(
                        max_length=64,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\\Z",
                                "1 to 64 letters, digits, '.', '_' or '-', beginning"
                                " with a letter or digit.",
                            ),
                            registry.validators.validate_uid_is_free,
                        ],
                    ),
                ),
                migrations.AddConstraint(
                    "device",
                    models.UniqueConstraint(
                        Lower("uid"),
                        name="registry_device_uid_once_in_any_case",
                        violation_error_message="This uid is already taken, in another"
                        " case.",
                    ),
                ),
                migrations.AddField(
                    "enrolmentkey", "batch", loose("batch", may_be_empty=True)
                ),
                migrations.AddField(
                    "product",
                    "config_schema",
                    models.JSONField(
                        blank=True,
                        db_default=models.Value({}, output_field=models.JSONField()),
                        default=dict,
                        validators=[registry.validators.validate_json_schema],
                    ),
                ),
                *_squashed_firmware.MODELS,
            ]
        ),
        migrations.RunSQL(_relations.CREATE, _relations.DROP),
        migrations.RunSQL(_firmware.CREATE, _firmware.DROP),
        migrations.RunSQL(_past_devices.CREATE, _past_devices.DROP),
        audit_changes("mfa_authenticator", kind="authenticator", secrets=["data"]),
        audit_changes(
            "socialaccount_socialaccount",
            kind="social_account",
            ignored=["extra_data"],
        ),
        audit_changes("registry_firmwarerelease", kind="firmware_release"),
        audit_changes("registry_firmwareproduct", kind="firmware_product"),
        audit_changes("registry_firmwarehardware", kind="firmware_hardware"),
    ]
