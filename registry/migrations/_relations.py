"""SQL of the relations that cannot lie: foreign keys that carry the tenant along.

A key of two columns says that what a row refers to is of the row's own tenant, site,
product or revision, whoever writes either side, and however. They stand in the place of
Django's keys of one column, so that a hundred thousand devices cost no more checks.
"""

from __future__ import annotations

# What is referred to needs a unique key of the same columns.
KEYS = (
    ("registry_project", "registry_project_of_tenant", "id, tenant_id"),
    ("registry_site", "registry_site_of_tenant", "id, tenant_id"),
    ("registry_product", "registry_product_of_tenant", "id, tenant_id"),
    ("registry_space", "registry_space_of_site", "id, site_id"),
    ("registry_hardwarerevision", "registry_revision_of_product", "id, product_id"),
    ("registry_hardwarerevision", "registry_revision_of_tenant", "id, tenant_id"),
    ("registry_batch", "registry_batch_of_revision", "id, hardware_revision_id"),
    ("registry_batch", "registry_batch_of_tenant", "id, tenant_id"),
    ("registry_device", "registry_device_of_kind", "id, tenant_id, kind"),
)
# Of a device's space, revision and batch the tenant follows: by its site and product.
RELATIONS = (
    ("registry_site", "project_id, tenant_id", "registry_project", "id, tenant_id"),
    ("registry_space", "site_id, tenant_id", "registry_site", "id, tenant_id"),
    ("registry_space", "parent_id, site_id", "registry_space", "id, site_id"),
    (
        *("registry_hardwarerevision", "product_id, tenant_id"),
        *("registry_product", "id, tenant_id"),
    ),
    (
        *("registry_batch", "hardware_revision_id, tenant_id"),
        *("registry_hardwarerevision", "id, tenant_id"),
    ),
    (
        "registry_enrolmentkey",
        "product_id, tenant_id",
        "registry_product",
        "id, tenant_id",
    ),
    ("registry_enrolmentkey", "site_id, tenant_id", "registry_site", "id, tenant_id"),
    ("registry_enrolmentkey", "batch_id, tenant_id", "registry_batch", "id, tenant_id"),
    ("registry_device", "project_id, tenant_id", "registry_project", "id, tenant_id"),
    ("registry_device", "site_id, tenant_id", "registry_site", "id, tenant_id"),
    ("registry_device", "product_id, tenant_id", "registry_product", "id, tenant_id"),
    ("registry_device", "space_id, site_id", "registry_space", "id, site_id"),
    (
        *("registry_device", "hardware_revision_id, product_id"),
        *("registry_hardwarerevision", "id, product_id"),
    ),
    (
        *("registry_device", "batch_id, hardware_revision_id"),
        *("registry_batch", "id, hardware_revision_id"),
    ),
    (
        *("registry_device", "gateway_id, tenant_id, gateway_kind"),
        *("registry_device", "id, tenant_id, kind"),
    ),
)
# What a device's gateway has to be, for the key above; the database computes it.
GATEWAY_KIND = """
ALTER TABLE registry_device ADD COLUMN gateway_kind varchar(16) GENERATED ALWAYS AS (
    CASE WHEN gateway_id IS NULL THEN NULL ELSE 'gateway' END
) STORED;
"""


def _name(table: str, columns: str) -> str:
    """Return the name that services know a relation by."""
    return f"{table}_{columns.split(',')[0].removesuffix('_id')}_is_its_own"


CREATE = GATEWAY_KIND + "\n".join(
    [
        *(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns});"
            for table, name, columns in KEYS
        ),
        *(
            f"ALTER TABLE {table} ADD CONSTRAINT {_name(table, columns)}"
            f" FOREIGN KEY ({columns}) REFERENCES {other} ({key});"
            for table, columns, other, key in RELATIONS
        ),
    ]
)
DROP = "\n".join(
    [
        *(
            f"ALTER TABLE {table} DROP CONSTRAINT {_name(table, columns)};"
            for table, columns, _other, _key in RELATIONS
        ),
        *(f"ALTER TABLE {table} DROP CONSTRAINT {name};" for table, name, _ in KEYS),
        "ALTER TABLE registry_device DROP COLUMN gateway_kind;",
    ]
)
