"""Watches the cohorts that call: who entered, who left, a number that was crossed.

A look at a cohort is one transaction under the lock of its row: it searches, compares
with the members of the last look, and writes members and calls together. So a process
that is killed at any point has done all of a look or nothing of it.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from fleet.choices import OF_SIZE, CallKind
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.models import Cohort, CohortCall, CohortMember, CohortWatch
from fleet.selectors.blindness import has_indexed, is_blind
from fleet.selectors.search import count, list_members
from iotplatform.common import bulk_sql
from iotplatform.common.ids import new_public_id_text

# A run ends after so long, and the next one begins with the cohorts that waited.
RUN_SECONDS = 10.0
# How long a person's change waits until the index has what was changed before it.
FIRST_LOOK_SECONDS = 3.0
POLL_SECONDS = 0.1
# A size that came back stays in the queue so long, in case it only wavers.
SETTLE = timedelta(seconds=30)
# One that closed by itself and is left again within this is the same call.
SAME_CALL = timedelta(hours=1)


def watch_cohorts_across_tenants() -> int:
    """Look at every cohort that calls; return how many calls were written.

    Silent while the index is away or behind: the next look finds what happened.
    """
    end = time.monotonic() + RUN_SECONDS
    waiting = CohortWatch.objects.order_by(F("looked_at").asc(nulls_first=True))
    written = 0
    for cohort_id in list(waiting.values_list("cohort_id", flat=True)):
        if time.monotonic() > end or is_blind():
            break
        try:
            written += look_at(cohort_id)
        except QueryError:
            continue  # what it names is gone: its page says so
        except IndexUnavailable:
            break
    return written


@transaction.atomic
def look_at(cohort_id: int) -> int:
    """Compare a cohort with the last look; return how many calls were written.

    Raises QueryError, IndexUnavailable. Another look at the same cohort, or a person
    who changes it, is not waited for.
    """
    rows = Cohort.objects.select_related("tenant").filter(pk=cohort_id)
    cohort = rows.select_for_update(no_key=True, of=("self",), skip_locked=True).first()
    if cohort is None:
        return 0
    watch = CohortWatch.objects.filter(cohort=cohort).first()
    return 0 if watch is None else _look(cohort, watch)


def restart_watch(cohort: Cohort, *, members: bool, number: bool) -> None:
    """Begin anew after a change of what a cohort calls for, in its transaction.

    ``members`` and ``number`` say which of the two was changed. What is so at the
    change is no news, so this waits for the index and takes a first look. If the index
    does not catch up soon, the worker takes it.
    """
    now = timezone.now()
    # Without the limit of the person who changes it: it calls for the whole tenant.
    cohort = Cohort.objects.select_related("tenant").get(pk=cohort.pk)
    if number or cohort.calls_at is None:
        _close_call_of_size(cohort, now)
    if members or not cohort.calls_each:
        CohortMember.objects.filter(cohort=cohort).delete()
    if not cohort.calls_each and cohort.calls_at is None:
        CohortWatch.objects.filter(cohort=cohort).delete()
        return
    watch, _ = CohortWatch.objects.get_or_create(
        cohort=cohort, defaults={"tenant_id": cohort.tenant_id, "asked_at": now}
    )
    watch.asked_at = now
    if members:
        watch.filled_at = None
    if number:
        watch.began_above, watch.is_away = None, False
    watch.save()
    if _wait_for_index(now):
        try:
            with transaction.atomic():
                _look(cohort, watch)
        except (QueryError, IndexUnavailable):
            pass  # the worker looks again


def _look(cohort: Cohort, watch: CohortWatch) -> int:
    now = timezone.now()
    if is_blind():
        return 0
    is_first = (cohort.calls_each and watch.filled_at is None) or (
        cohort.calls_at is not None and watch.began_above is None
    )
    if is_first and not has_indexed(watch.asked_at):
        return 0
    written = 0
    if cohort.calls_each:
        size, moves = _compare(cohort)
        if watch.filled_at is None:
            watch.filled_at = now
        else:
            written += _call_for_devices(cohort, moves, now)
    else:
        size = count(tenants=[cohort.tenant], q=cohort.query)
    if cohort.calls_at is not None:
        written += _judge_size(cohort, watch, size, now)
    watch.looked_at = now
    watch.save()
    return written


# The devices of the search, beside the members of the last look: deletes who left,
# inserts who entered, and returns both.
FOUND = bulk_sql.unnest(CohortMember, "device_id", "uid")
COMPARE = f"""
    WITH found AS MATERIALIZED (SELECT device_id, uid FROM {FOUND}), gone AS (
        DELETE FROM fleet_cohortmember m WHERE m.cohort_id = %s
            AND NOT EXISTS (SELECT FROM found f WHERE f.device_id = m.device_id)
        RETURNING m.device_id, m.uid
    ), came AS (
        INSERT INTO fleet_cohortmember (tenant_id, cohort_id, device_id, uid)
        SELECT %s, %s, f.device_id, f.uid FROM found f WHERE NOT EXISTS (
            SELECT FROM fleet_cohortmember m
            WHERE m.cohort_id = %s AND m.device_id = f.device_id
        )
        RETURNING device_id, uid
    )
    SELECT '{CallKind.LEFT}', device_id, uid FROM gone
    UNION ALL SELECT '{CallKind.ENTERED}', device_id, uid FROM came
    ORDER BY 1, 3
"""
Move = tuple[str, int, str]  # kind, device, uid


def _compare(cohort: Cohort) -> tuple[int, list[Move]]:
    """Make the members those of now; return how many, and who left or entered."""
    found = list_members(tenants=[cohort.tenant], q=cohort.query).members
    rows = [(member.device_id, member.uid) for member in found]
    tenant, pk = cohort.tenant_id, cohort.pk
    arrays = bulk_sql.columns_of(rows, 2)
    moves = bulk_sql.fetch(COMPARE, [*arrays, pk, tenant, pk, pk])
    return len(found), moves


CALL_COLUMNS = (
    *("public_id", "tenant_id", "cohort_id", "kind", "device_id", "uid"),
    "opened_at",
)
INSERT_CALLS = bulk_sql.insert_rows(CohortCall, *CALL_COLUMNS)


def _call_for_devices(cohort: Cohort, moves: list[Move], now: datetime) -> int:
    if not moves:
        return 0
    rows = [
        (new_public_id_text(), cohort.tenant_id, cohort.pk, *move, now)
        for move in moves
    ]
    return bulk_sql.run(INSERT_CALLS, bulk_sql.columns_of(rows, len(CALL_COLUMNS)))


def _judge_size(cohort: Cohort, watch: CohortWatch, size: int, now: datetime) -> int:
    """Open, update or close the call about the size; return how many were opened."""
    assert cohort.calls_at is not None
    is_above = size >= cohort.calls_at
    if watch.began_above is None:
        watch.began_above = is_above
    calls = CohortCall.objects.filter(cohort=cohort, kind__in=OF_SIZE)
    current = calls.filter(closed_at=None).first()
    if is_above == watch.began_above:
        watch.is_away = False
        if current is not None:
            _settle(current, size, now)
        return 0
    if current is not None:
        if (current.size, current.back_at) != (size, None):
            current.size, current.back_at = size, None
            current.save(update_fields=["size", "back_at"])
        watch.is_away = True
        return 0
    if watch.is_away:
        return 0  # a person closed its call
    watch.is_away = True
    # A change of number or query since then makes it another call.
    again = calls.filter(
        closed_by=None, closed_at__gt=now - SAME_CALL, opened_at__gte=watch.asked_at
    ).order_by("-pk")
    if newest := again.first():
        newest.closed_at, newest.back_at, newest.size = None, None, size
        newest.save(update_fields=["closed_at", "back_at", "size"])
        return 1
    CohortCall.objects.create(
        tenant_id=cohort.tenant_id,
        cohort=cohort,
        kind=CallKind.REACHED if is_above else CallKind.FELL,
        number=cohort.calls_at,
        size=size,
        opened_at=now,
    )
    return 1


def _settle(current: CohortCall, size: int, now: datetime) -> None:
    """Note that the size is back; close the call once it has stayed so."""
    current.back_at = current.back_at or now
    current.size = size
    if now - current.back_at >= SETTLE:
        current.closed_at = now
    current.save(update_fields=["size", "back_at", "closed_at"])


def _close_call_of_size(cohort: Cohort, now: datetime) -> None:
    rows = CohortCall.objects.filter(cohort=cohort, kind__in=OF_SIZE, closed_at=None)
    rows.update(closed_at=now, back_at=now)


def _wait_for_index(at: datetime) -> bool:
    end = time.monotonic() + FIRST_LOOK_SECONDS
    while not is_blind():
        if has_indexed(at):
            return True
        if time.monotonic() > end:
            break
        time.sleep(POLL_SECONDS)
    return False
