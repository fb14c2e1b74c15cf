"""The rows of an import in a temporary table, and from there into the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from iotplatform.common.ids import new_public_id
from registry.choices import DeviceKind, Lifecycle
from registry.models import Tenant
from registry.selectors.access import sql_within
from registry.services.imports.checking import Candidate
from registry.services.imports.reading import Errors, row_error
from registry.validators import UID_TAKEN

# Dropped with the transaction; a second import in the same transaction starts empty.
CREATE = """
    DROP TABLE IF EXISTS pg_temp.registry_import;
    CREATE TEMPORARY TABLE registry_import (
        line integer, uid text, name text, serial text, project_id bigint,
        site_id bigint, space_id bigint, product_id bigint,
        hardware_revision_id bigint, batch_id bigint, kind text, gateway text,
        adapter text,
        tags text[], attributes jsonb, public_id uuid, move_id uuid
    ) ON COMMIT DROP
"""
COPY = """
    COPY registry_import (
        line, uid, name, serial, project_id, site_id, space_id, product_id,
        hardware_revision_id, batch_id, kind, gateway, adapter, tags, attributes,
        public_id, move_id
    ) FROM STDIN
"""
TYPES = ["int4", *["text"] * 3, *["int8"] * 6, *["text"] * 3, "text[]", "text"]
TYPES += ["uuid", "uuid"]
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
# Rows that were not inserted: another device has the uid (perhaps of a tenant that we
# may not see, so an earlier check would not find it) or the serial.
LEFT_OUT = """
    SELECT i.line, i.uid, i.serial, s.id IS NOT NULL
    FROM registry_import i
    LEFT JOIN registry_device d ON d.public_id = i.public_id
    LEFT JOIN registry_device s ON s.tenant_id = %(tenant)s AND s.serial = i.serial
        AND i.serial <> '' AND s.public_id <> i.public_id
    WHERE d.id IS NULL AND (i.gateway IS NULL OR EXISTS (
        SELECT FROM registry_device g WHERE g.uid = i.gateway AND g.kind = 'gateway'
            AND g.tenant_id = %(tenant)s
    ))
    ORDER BY i.line
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
        self, candidates: Iterable[Candidate], *, progress: Callable[[int], None]
    ) -> int:
        """Copy the candidates as they arrive; return how many."""
        count = 0
        with connection.cursor() as cursor:
            cursor.execute(CREATE)
            # psycopg's own cursor: Django has no COPY. The statement before began the
            # transaction and set the tenant scope.
            with cursor.cursor.copy(COPY) as copy:
                copy.set_types(TYPES)
                for one in candidates:
                    copy.write_row(_columns(one))
                    count += 1
                    if count % 1_000 == 0:
                        progress(one.line)
            cursor.execute("ANALYZE pg_temp.registry_import")
        return count

    def insert(self) -> Errors:
        """Insert the staged rows, gateways before their children; return the errors.

        If there are errors, the caller rolls back.
        """
        with connection.cursor() as cursor:
            cursor.execute(self._lock_gateways, self._access_params)
            for children in (False, True):
                cursor.execute(INSERT, self._values | {"children": children})
            errors = self._gateway_errors(cursor) + self._left_out(cursor)
            if not errors:
                cursor.execute(RECORD_BIRTH, self._values)
        return errors

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

    def _left_out(self, cursor: Any) -> Errors:
        cursor.execute(LEFT_OUT, self._values)
        return [
            row_error(
                line, "serial", "Another device of the tenant has this serial.", serial
            )
            if is_serial
            else row_error(line, "uid", UID_TAKEN, uid)
            for line, uid, serial, is_serial in cursor.fetchall()
        ]


def _columns(one: Candidate) -> tuple[Any, ...]:
    return (
        *(one.line, one.uid, one.name, one.serial, one.project_id, one.site_id),
        *(one.space_id, one.product_id, one.hardware_revision_id, one.batch_id),
        *(one.kind, one.gateway, one.adapter, one.tags),
        *(one.attributes, new_public_id(), new_public_id()),
    )
