"""Reads of the recorded sizes of cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from fleet.models import Cohort, CohortSize
from iotplatform.common import bulk_sql
from registry.models import Tenant

SHOWN = timedelta(days=7)  # in the API: an entry an hour, and those of the last hours


@dataclass(frozen=True, slots=True)
class Size:
    """How many devices a cohort had at one time."""

    at: datetime
    size: int


def attach_sizes(cohorts: Sequence[Cohort], *, tenants: Sequence[Tenant]) -> None:
    """Set ``sizes`` on each cohort, the oldest first, with one query.

    They count every device of the tenant, so a limited member sees none.
    """
    whole = {tenant.pk for tenant in tenants if tenant.limit is None}
    sizes: dict[int, list[Size]] = {cohort.pk: [] for cohort in cohorts}
    wanted = [cohort.pk for cohort in cohorts if cohort.tenant_id in whole]
    rows = CohortSize.objects.filter(
        cohort__in=wanted, at__gte=timezone.now() - SHOWN
    ).order_by("cohort", "at")
    for cohort_id, at, size in rows.values_list("cohort", "at", "size"):
        sizes[cohort_id].append(Size(at, size))
    for cohort in cohorts:
        cohort.sizes = sizes[cohort.pk]  # type: ignore[attr-defined]


# The last size in each bucket.
BUCKETS = """
    SELECT DISTINCT ON (bucket) at, size FROM (
        SELECT date_bin(%s::interval, at, '2000-01-01') AS bucket, at, size
        FROM fleet_cohortsize WHERE cohort_id = %s AND at >= %s
    ) sizes
    ORDER BY bucket, at DESC
"""


def list_sizes(cohort: Cohort, *, since: datetime, step: timedelta) -> list[Size]:
    """Return the last size of each ``step``; a limited member sees none."""
    if cohort.tenant.limit is not None:
        return []
    text = f"{step.total_seconds():.0f} seconds"
    found = bulk_sql.fetch(BUCKETS, [text, cohort.pk, since])
    return [Size(at, size) for at, size in found]
