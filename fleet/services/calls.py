"""What people do with the calls of cohorts: claim, release, close; old ones go."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fleet.choices import OF_DEVICES
from fleet.exceptions import CallTaken
from fleet.models import Cohort, CohortCall
from iotplatform.common.row_lock import get_locked
from registry.models import User

KEPT = timedelta(days=90)  # closed calls, and devices' calls that nobody closed
BATCH = 10_000


@transaction.atomic
def claim_call(call: CohortCall, *, by: User) -> CohortCall:
    """Make an open call somebody's; raises CallTaken (closed, or somebody else's)."""
    row = _locked(call)
    if row.closed_at is not None or row.assignee_id not in (None, by.pk):
        raise CallTaken(row)
    row.assignee = by
    row.save(update_fields=["assignee"])
    return row


@transaction.atomic
def release_call(call: CohortCall, *, by: User) -> CohortCall:
    """Make an open call nobody's, also another person's who is away.

    Raises CallTaken (it is closed).
    """
    row = _locked(call)
    if row.closed_at is not None:
        raise CallTaken(row)
    row.assignee = None
    row.save(update_fields=["assignee"])
    return row


@transaction.atomic
def close_call(call: CohortCall, *, by: User) -> CohortCall:
    """Close an open call; raises CallTaken (closed before, or somebody else's)."""
    row = _locked(call)
    if row.closed_at is not None or row.assignee_id not in (None, by.pk):
        raise CallTaken(row)
    row.closed_at, row.closed_by = timezone.now(), by
    row.save(update_fields=["closed_at", "closed_by"])
    return row


def claim_device_calls(
    cohort: Cohort, calls: QuerySet[CohortCall], *, by: User, until: datetime
) -> int:
    """Claim what nobody has of the cohort's calls for devices; return how many.

    ``calls`` are those that the person may see; a later call than ``until`` was not on
    their page.
    """
    return _of_devices(cohort, calls, until).filter(assignee=None).update(assignee=by)


def close_device_calls(
    cohort: Cohort, calls: QuerySet[CohortCall], *, by: User, until: datetime
) -> int:
    """Close the cohort's calls for devices that are nobody's or the person's."""
    rows = _of_devices(cohort, calls, until)
    mine = rows.filter(Q(assignee=None) | Q(assignee=by))
    return mine.update(closed_at=timezone.now(), closed_by=by)


def forget_calls_across_tenants(*, now: datetime) -> int:
    """Delete a batch of calls that are old and over; return how many."""
    over = Q(closed_at__lt=now - KEPT) | Q(
        opened_at__lt=now - KEPT, kind__in=OF_DEVICES
    )
    batch = list(CohortCall.objects.filter(over).values_list("pk", flat=True)[:BATCH])
    CohortCall.objects.filter(pk__in=batch).delete()
    return len(batch)


def _locked(call: CohortCall) -> CohortCall:
    rows = CohortCall.objects.select_related(
        "cohort", "assignee", "tenant", "closed_by"
    )
    return get_locked(rows, pk=call.pk)


def _of_devices(
    cohort: Cohort, calls: QuerySet[CohortCall], until: datetime
) -> QuerySet[CohortCall]:
    seen = calls.filter(
        cohort=cohort, kind__in=OF_DEVICES, closed_at=None, opened_at__lte=until
    )
    # An UPDATE takes no joins, which the condition of a limited member needs.
    return CohortCall.objects.filter(pk__in=seen.values("pk"), closed_at=None)
