"""Which devices a firmware version is not for, and why: one statement for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from commands.definitions import UPDATE_FIRMWARE
from iotplatform.common import bulk_sql
from iotplatform.common.version_key import version_key
from registry.models import Tenant
from registry.selectors.firmware import hardware_of_version

_FACTS = """
    SELECT d.id, d.product_id, d.hardware_revision_id, coalesce(t.firmware, '')
    FROM registry_device d LEFT JOIN state_twin t ON t.device_id = d.id
    WHERE d.id = ANY(%s::bigint[]) AND d.tenant_id = %s
"""

# Of each product that has a release of the version: its revisions, empty for all.
Hardware = Mapping[int, frozenset[int]]


def firmware_refusals(
    tenant: Tenant,
    device_ids: Collection[int],
    *,
    command_name: str,
    params: Mapping[str, Any],
) -> dict[int, str]:
    """Return why devices are left out of an update of their firmware, by device.

    A version that has a release is only for the hardware of its releases; nobody gets
    an older version than it reports, or the one that it reports already.
    """
    version = params.get("version")
    if command_name != UPDATE_FIRMWARE or not isinstance(version, str):
        return {}
    hardware = hardware_of_version(tenant, version)
    reasons: dict[tuple[Any, ...], str] = {}  # few kinds of devices, many devices
    found = {}
    for device_id, *kind in bulk_sql.fetch(_FACTS, [list(device_ids), tenant.pk]):
        key = tuple(kind)
        if key not in reasons:
            reasons[key] = _why_not(version, hardware, *kind)
        if reasons[key]:
            found[device_id] = reasons[key]
    return found


def _why_not(
    version: str,
    hardware: Hardware,
    product_id: int,
    revision_id: int | None,
    reported: str,
) -> str:
    if hardware and product_id not in hardware:
        return f"firmware {version} is not for its product"
    revisions = hardware.get(product_id)
    if revisions and revision_id not in revisions:
        return f"firmware {version} is not for its hardware revision"
    if not reported:
        return ""
    now, then = version_key(reported), version_key(version)
    if now == then:
        return f"reports firmware {reported} already"
    return f"would be a downgrade: reports firmware {reported}" if now > then else ""
