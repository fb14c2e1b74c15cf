"""SQL of firmware releases: foreign keys that carry the tenant along."""

# As in _relations.py: what a release is for is of its tenant, and of its version.
RELATIONS = (
    (
        "registry_firmwareproduct",
        "release",
        "release_id, tenant_id, version",
        "registry_firmwarerelease",
        "id, tenant_id, version",
    ),
    (
        "registry_firmwareproduct",
        "product",
        "product_id, tenant_id",
        "registry_product",
        "id, tenant_id",
    ),
    (
        "registry_firmwarehardware",
        "release",
        "release_id, tenant_id",
        "registry_firmwarerelease",
        "id, tenant_id",
    ),
    (
        "registry_firmwarehardware",
        "hardware_revision",
        "hardware_revision_id, tenant_id",
        "registry_hardwarerevision",
        "id, tenant_id",
    ),
)
KEYS = """
ALTER TABLE registry_firmwarerelease
    ADD CONSTRAINT registry_firmware_of_tenant UNIQUE (id, tenant_id),
    ADD CONSTRAINT registry_firmware_of_version UNIQUE (id, tenant_id, version);
"""
CREATE = KEYS + "\n".join(
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_{name}_is_its_own"
    f" FOREIGN KEY ({columns}) REFERENCES {other} ({key});"
    for table, name, columns, other, key in RELATIONS
)
DROP = (
    "\n".join(
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_{name}_is_its_own;"
        for table, name, _columns, _other, _key in RELATIONS
    )
    + """
ALTER TABLE registry_firmwarerelease
    DROP CONSTRAINT registry_firmware_of_tenant,
    DROP CONSTRAINT registry_firmware_of_version;
"""
)
