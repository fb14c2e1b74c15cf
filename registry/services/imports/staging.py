"""The rows of an import in a temporary table, and from there into the registry."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from psycopg.errors import UniqueViolation

from iotplatform.common import tenant_scope
from registry.choices import DeviceKind, Lifecycle
from registry.models import Tenant
from registry.selectors.access import sql_within
from registry.services.constraint_errors import SERIAL_TAKEN
from registry.services.imports.decoding import Errors, row_error
from registry.validators import UID_TAKEN, UID_TAKEN_IN_OTHER_CASE

# Dropped with the transaction; a second import in the same transaction starts empty.
CREATE = """
    DROP TABLE IF EXISTS pg_temp.registry_import;
    CREATE TEMPORARY TABLE registry_import (
        line integer, uid text, name text, serial text, project_id bigint,
        site_id bigint, space_id bigint, product_id bigint,
        hardware_revision_id bigint, batch_id bigint, kind text, gateway text,
        adapter text,
        tags text[], attributes jsonb, public_id uuid, move_id uuid
    ) ON COMMIT DROP;
    CREATE INDEX ON pg_temp.registry_import (line);
    GRANT SELECT ON pg_temp.registry_import TO iot_platform
"""
# What the statements below join and choose by; of tags and attributes it costs most.
ANALYZE = """
    ANALYZE pg_temp.registry_import (line, uid, serial, kind, gateway, public_id)
"""
# In the order of a line of known_parts.py.
COPY = """
    COPY registry_import (
        line, uid, name, serial, gateway, tags, attributes, public_id, move_id,
        project_id, site_id, space_id, product_id, hardware_revision_id, batch_id,
        kind, adapter
    ) FROM STDIN
"""
# Locked, so that they stay gateways until the children are inserted; in the order of
# keys, like all locks.
LOCK_GATEWAYS = """
    SELECT g.id FROM registry_device g
    WHERE {accessible}
        AND g.uid IN (SELECT gateway FROM registry_import WHERE gateway IS NOT NULL)
    ORDER BY g.id FOR NO KEY UPDATE
"""
WRONG_GATEWAYS = """
    SELECT i.line, i.gateway, coalesce(g.kind, j.kind)
    FROM registry_import i
    LEFT JOIN registry_device g ON g.uid = i.gateway AND {accessible}
    LEFT JOIN registry_import j ON j.uid = i.gateway
    WHERE i.gateway IS NOT NULL
        AND coalesce(g.kind, j.kind, '') <> 'gateway'
    ORDER BY i.line
"""
INSERT = """
    INSERT INTO registry_device (
        public_id, uid, tenant_id, project_id, site_id, space_id, product_id,
        hardware_revision_id, batch_id, name, serial, kind, gateway_id, adapter,
        lifecycle, tags, attributes, created_at, updated_at
    )
    SELECT i.public_id, i.uid, %(tenant)s, i.project_id, i.site_id, i.space_id,
        i.product_id, i.hardware_revision_id, i.batch_id, i.name, i.serial, i.kind,
        {gateway}, i.adapter, %(lifecycle)s, i.tags, i.attributes, %(now)s, %(now)s
    FROM registry_import i {join}
    WHERE (i.kind = %(child)s) = %(children)s AND i.line > %(after)s
    ORDER BY i.line
"""
# Only children have a gateway, so only they need the join.
INSERT_OTHERS = INSERT.format(gateway="NULL::bigint", join="")
INSERT_CHILDREN = INSERT.format(
    gateway="g.id",
    join="""
    LEFT JOIN registry_device g ON g.uid = i.gateway AND g.tenant_id = %(tenant)s
        AND g.kind = 'gateway'""",
)
# Other devices with the uid, in any case, or with the serial.
TAKEN = """
    SELECT i.line, 'uid', i.uid, d.uid = i.uid
    FROM registry_import i JOIN registry_device d ON lower(d.uid) = lower(i.uid)
    WHERE d.public_id <> i.public_id
    UNION ALL
    SELECT i.line, 'serial', i.serial, true
    FROM registry_import i JOIN registry_device d
        ON d.serial = i.serial AND d.tenant_id = %(tenant)s
    WHERE i.serial <> '' AND d.public_id <> i.public_id
    ORDER BY 1, 2
"""
RECORD_BIRTH = """
    INSERT INTO registry_lifecyclemove (
        public_id, tenant_id, device_id, at, moved_from, moved_to, reason, actor_id
    )
    SELECT i.move_id, d.tenant_id, d.id, %(now)s, '', d.lifecycle, 'imported', %(actor)s
    FROM registry_import i JOIN registry_device d ON d.public_id = i.public_id
"""


class Staging:
    """The temporary table of one import; the caller holds the transaction.

    Devices that are no children are inserted as they arrive: PostgreSQL works on one
    part of the file while Python checks the next. Once something is wrong, nothing more
    is inserted, and the caller rolls back what was.
    """

    def __init__(self, tenant: Tenant, *, now: datetime, actor_id: int | None) -> None:
        # Gateways g that the caller may access: the condition, and its parameters.
        accessible, self._access_params = sql_within([tenant], "g")
        self._lock_gateways = LOCK_GATEWAYS.format(accessible=accessible)
        self._wrong_gateways = WRONG_GATEWAYS.format(accessible=accessible)
        self._values: dict[str, Any] = {
            "tenant": tenant.pk,
            "now": now,
            "actor": actor_id,
            "lifecycle": Lifecycle.PROVISIONED,
            "child": DeviceKind.CHILD,
        }
        self.count = 0  # staged rows
        self._inserted_to = 0  # a line
        self._conflict: IntegrityError | None = None

    def add(self, lines: list[str]) -> None:
        """Copy a part of the file to the temporary table."""
        with connection.cursor() as cursor:
            if not self.count:
                cursor.execute(CREATE)
            # psycopg's own cursor: Django has no COPY. A statement before began the
            # transaction and set the tenant scope.
            with cursor.cursor.copy(COPY) as copy:
                copy.write("".join(lines))
            if not self.count:
                cursor.execute(ANALYZE)
        self.count += len(lines)

    def insert_added(self, *, last_line: int) -> None:
        """Insert what was added since the last time, up to this line; no children."""
        self._insert(children=False, after=self._inserted_to)
        self._inserted_to = last_line

    def find_errors(self) -> Errors:
        """Return the errors of the staged rows against each other and other devices."""
        if not self.count:
            return []
        with connection.cursor() as cursor:
            cursor.execute(ANALYZE)
            return self._gateway_errors(cursor) + self._taken(cursor)

    def finish(self) -> Errors:
        """Insert the children, and the birth of every device; return the errors.

        Raises IntegrityError if a row was refused for a reason that is gone again.
        """
        if not self.count:
            return []
        with connection.cursor() as cursor:
            cursor.execute(self._lock_gateways, self._access_params)
            errors = self._gateway_errors(cursor)
            if not errors:
                self._insert(children=True, after=0)
            if errors or self._conflict:
                errors += self._taken(cursor)
                if self._conflict and not errors:
                    raise self._conflict
                return errors
            cursor.execute(RECORD_BIRTH, self._values)
        return []

    def _insert(self, *, children: bool, after: int) -> None:
        if self._conflict:
            return
        values = self._values | {"children": children, "after": after}
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(INSERT_CHILDREN if children else INSERT_OTHERS, values)
        except IntegrityError as error:
            if not isinstance(error.__cause__, UniqueViolation):
                raise
            self._conflict = error

    def _gateway_errors(self, cursor: Any) -> Errors:
        cursor.execute(self._wrong_gateways, self._access_params)
        return [
            row_error(
                line,
                "gateway",
                f"The device {gateway} is not a gateway."
                if kind
                else "No such device.",
                gateway,
            )
            for line, gateway, kind in cursor.fetchall()
        ]

    def _taken(self, cursor: Any) -> Errors:
        # The caller may not see the device that has the uid: another tenant's.
        with tenant_scope.as_role(tenant_scope.PLATFORM):
            cursor.execute(TAKEN, self._values)
            found = cursor.fetchall()
        messages = {
            ("serial", True): SERIAL_TAKEN,
            ("uid", True): UID_TAKEN,
            ("uid", False): UID_TAKEN_IN_OTHER_CASE,
        }
        return [
            row_error(line, name, messages[name, is_exact], value)
            for line, name, value, is_exact in found
        ]
