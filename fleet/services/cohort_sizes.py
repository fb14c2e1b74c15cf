"""Records how many devices each cohort has, once a minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from fleet.exceptions import IndexUnavailable, QueryError
from fleet.models import Cohort, CohortSize
from fleet.selectors.blindness import is_blind
from fleet.selectors.search import count
from iotplatform.common import bulk_sql

BATCH = 200  # cohorts: a count takes milliseconds, so a batch takes a second or two
# Every minute is kept for so long; after that, the last size of each hour.
EACH_MINUTE = timedelta(hours=2)
KEPT = timedelta(days=90)
# How far back an hour is looked for that has several sizes still.
THINNED = timedelta(days=7)


def record_sizes_across_tenants(*, now: datetime) -> int:
    """Record the size of every cohort; return how many were recorded.

    While the index is away or behind nothing is recorded: a gap, not a wrong number.
    The same goes for a cohort whose query is no longer valid.
    """
    recorded = 0
    for cohorts in _batches():
        if is_blind():
            break
        try:
            rows = [row for cohort in cohorts if (row := _counted(cohort, now))]
        except IndexUnavailable:
            break
        if is_blind():  # it fell behind while we counted
            break
        recorded += len(CohortSize.objects.bulk_create(rows))
    return recorded


DELETE_MINUTES = """
    DELETE FROM fleet_cohortsize early USING fleet_cohortsize late
    WHERE early.at < %s AND early.at >= %s AND late.cohort_id = early.cohort_id
        AND late.at > early.at AND late.at < early.at + interval '1 hour'
        AND date_trunc('hour', late.at) = date_trunc('hour', early.at)
"""


def thin_sizes_across_tenants(*, now: datetime) -> int:
    """Keep one size an hour of what is older, and none that is very old."""
    gone, _ = CohortSize.objects.filter(at__lt=now - KEPT).delete()
    limits = [now - EACH_MINUTE, now - THINNED]
    return gone + bulk_sql.run(DELETE_MINUTES, limits)


def _batches() -> Iterator[list[Cohort]]:
    last = 0
    while True:
        rows = Cohort.objects.filter(pk__gt=last).select_related("tenant")
        batch = list(rows.order_by("pk")[:BATCH])
        if not batch:
            return
        yield batch
        last = batch[-1].pk


def _counted(cohort: Cohort, now: datetime) -> CohortSize | None:
    try:
        size = count(tenants=[cohort.tenant], q=cohort.query)
    except QueryError:
        return None
    return CohortSize(
        tenant_id=cohort.tenant_id, cohort_id=cohort.pk, at=now, size=size
    )
