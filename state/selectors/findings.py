"""What was last found about the trouble of devices, so that verdicts stay."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.db.models import Count

from state.choices import Trouble, Verdict
from state.judgment.diagnosis_evidence import Finding
from state.models import LastFinding

if TYPE_CHECKING:
    from registry.models import Device, Tenant


def last_finding(device: Device, trouble: Trouble) -> Finding | None:
    """Return what was last found about this trouble of a device."""
    row = LastFinding.objects.filter(
        pk=device.pk, tenant=device.tenant_id, trouble=trouble
    ).first()
    return None if row is None else Finding(Verdict(row.verdict), row.trait)


def last_finding_of_set(
    tenant: Tenant, device_ids: Collection[int], trouble: Trouble
) -> Finding | None:
    """Return what was last found about most of these devices."""
    rows = LastFinding.objects.filter(
        pk__in=list(device_ids), tenant=tenant.pk, trouble=trouble
    )
    most = rows.values_list("verdict", "trait").annotate(number=Count("pk"))
    found = most.order_by("-number", "verdict", "trait").first()
    return None if found is None else Finding(Verdict(found[0]), found[1])
