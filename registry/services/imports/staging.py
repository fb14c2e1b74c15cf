"""The rows of an import in a temporary table, and from there into the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import connection

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
    GRANT SELECT ON pg_temp.registry_import TO iot_platform
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
        g.id, i.adapter, %(lifecycle)s, i.tags, i.attributes, %(now)s, %(now)s
    FROM registry_import i
    LEFT JOIN registry_device g ON g.uid = i.gateway AND g.tenant_id = %(tenant)s
        AND g.kind = 'gateway'
    WHERE (i.kind = %(child)s) = %(children)s AND (g.id IS NOT NULL) = %(children)s
    ORDER BY i.line
    ON CONFLICT DO NOTHING
"""
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
    """The temporary table of one import; the caller holds the transaction."""

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

    def fill(
        self,
        batches: Iterable[tuple[int, list[str]]],
        *,
        progress: Callable[[int], None],
    ) -> int:
        """Copy the lines of each batch as they arrive; return how many.

        A batch is the number of its last line in the file, and its lines for COPY.
        """
        count = 0
        with connection.cursor() as cursor:
            cursor.execute(CREATE)
            # psycopg's own cursor: Django has no COPY. The statement before began the
            # transaction and set the tenant scope.
            with cursor.cursor.copy(COPY) as copy:
                for last_line, lines in batches:
                    copy.write("".join(lines))
                    count += len(lines)
                    progress(last_line)
            cursor.execute("ANALYZE pg_temp.registry_import")
        return count

    def find_errors(self) -> Errors:
        """Return the errors of the staged rows against each other and other devices."""
        with connection.cursor() as cursor:
            return self._gateway_errors(cursor) + self._taken(cursor)

    def insert(self, count: int) -> Errors:
        """Insert the staged rows, gateways before their children; return the errors.

        If there are errors, the caller rolls back.
        """
        with connection.cursor() as cursor:
            cursor.execute(self._lock_gateways, self._access_params)
            if errors := self._gateway_errors(cursor):
                return errors + self._taken(cursor)
            for children in (False, True):
                cursor.execute(INSERT, self._values | {"children": children})
                count -= cursor.rowcount
            if count:  # some were left out
                return self._taken(cursor)
            cursor.execute(RECORD_BIRTH, self._values)
        return []

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
