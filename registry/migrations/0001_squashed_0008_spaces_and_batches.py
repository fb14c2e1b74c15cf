"""Tenants, places, people and devices, and the log of what people change.

The log also watches tables of allauth, which refer to our users: so the rest of the
registry is another migration.
"""

from typing import Any

from django.contrib.postgres.operations import CreateExtension
from django.db import migrations

from iotplatform.common.audit import audit_changes
from iotplatform.common.migration_operations import Together
from iotplatform.database.row_security import prepare_roles
from registry.migrations import (
    _audit,
    _spaces,
    _squashed_credentials,
    _squashed_devices,
    _squashed_people,
    _squashed_places,
    _squashed_products,
)


def prepare(apps: Any, schema_editor: Any) -> None:
    """Make the roles of the processes, where they are not there yet."""
    prepare_roles()


class Migration(migrations.Migration):
    """An empty database takes this way; one that began before it, the old files."""

    initial = True
    replaces = [
        ("registry", "0001_initial"),
        ("registry", "0002_web_role"),
        ("registry", "0003_certificates"),
        ("registry", "0004_enrolment_keys"),
        ("registry", "0005_audit"),
        ("registry", "0006_membership_limits"),
        ("registry", "0007_device_lists"),
        ("registry", "0008_spaces_and_batches"),
    ]
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]
    operations = [
        CreateExtension("ltree"),
        Together(
            [
                *_squashed_places.MODELS,
                *_squashed_products.MODELS,
                *_squashed_people.MODELS,
                *_squashed_devices.MODELS,
                *_squashed_credentials.MODELS,
            ]
        ),
        migrations.RunPython(prepare, migrations.RunPython.noop),
        migrations.RunSQL(_audit.CREATE, _audit.DROP),
        migrations.RunSQL(_spaces.CREATE, _spaces.DROP),
        audit_changes("registry_tenant", kind="tenant"),
        audit_changes("registry_project", kind="project"),
        audit_changes("registry_site", kind="site"),
        audit_changes("registry_space", kind="space", ignored=["path"]),
        audit_changes("registry_product", kind="product"),
        audit_changes("registry_hardwarerevision", kind="hardware_revision"),
        audit_changes("registry_batch", kind="batch"),
        audit_changes("registry_device", kind="device", ignored=["gateway_kind"]),
        audit_changes(
            "registry_credential",
            kind="credential",
            secrets=["verifier"],
            ignored=["published_at", "withdrawn_at"],
        ),
        audit_changes(
            "registry_enrolmentkey",
            kind="enrolment_key",
            secrets=["digest"],
            ignored=["used_count"],
        ),
        audit_changes("registry_user", kind="user", secrets=["password"]),
        audit_changes("registry_user_groups", kind="user_groups"),
        audit_changes("registry_user_user_permissions", kind="user_user_permissions"),
        audit_changes("registry_membership", kind="membership"),
        audit_changes("registry_membershiplimit", kind="membership_limit"),
        audit_changes("registry_apitoken", kind="api_token", secrets=["digest"]),
        audit_changes("auth_group", kind="group"),
        audit_changes("auth_group_permissions", kind="group_permissions"),
    ]
