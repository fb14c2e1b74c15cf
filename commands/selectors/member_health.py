"""How the members of a job are now, beside other devices of the same products."""

from __future__ import annotations

from typing import Any

from django.db import connection

from commands.models import Job
from commands.selectors.job_products import products_of_job

# A sample by chance: it says what all say, and reads no fleet of a million devices.
MOST_OTHERS = 20_000

_MEMBERS = """
    SELECT t.device_id FROM commands_jobtarget t
    WHERE t.job_id = %(job)s AND t.skip_reason = ''
"""
# In the order of their hashes, which an index of presence has.
_OTHERS = f"""
    SELECT d.id AS device_id FROM state_presence p
    JOIN registry_device d ON d.id = p.device_id
    WHERE p.tenant_id = %(tenant)s AND d.lifecycle = 'active'
        AND d.product_id = ANY(%(products)s)
        AND NOT EXISTS ({_MEMBERS} AND t.device_id = d.id)
    ORDER BY hashint8(p.device_id) LIMIT {MOST_OTHERS}
"""
_COUNT = """
    SELECT coalesce(p.connectivity, 'offline'), count(*), sum(coalesce(r.score, 0))
    FROM ({devices}) m
    LEFT JOIN state_presence p ON p.device_id = m.device_id
    LEFT JOIN state_risk r ON r.device_id = m.device_id
    GROUP BY 1
"""


def count_health(job: Job) -> dict[str, Any]:
    """Return connectivity and mean risk of a job's members and of the others.

    Each is {"devices", "connectivity": {name: count}, "risk"}; ``risk`` is null of no
    devices. The others are active devices of the tenant and of the members' products.
    """
    products = products_of_job(job)
    values = {"job": job.pk, "tenant": job.tenant_id, "products": products}
    return {
        "members": _counted(_MEMBERS, values),
        "others": _counted(_OTHERS, values),
    }


def _counted(devices: str, values: dict[str, Any]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT.format(devices=devices), values)
        rows = cursor.fetchall()
    total = sum(count for _, count, _ in rows)
    risk = sum(int(points) for _, _, points in rows)
    return {
        "devices": total,
        "connectivity": {name: count for name, count, _ in sorted(rows)},
        "risk": round(risk / total, 1) if total else None,
    }
