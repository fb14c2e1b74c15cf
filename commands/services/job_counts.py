"""The counts of jobs: triggers add differences, a sweep adds them up, a check compares.

``commands/migrations/_job_count_triggers.py`` has the triggers.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Q

from commands.lifecycle import JOB_FINAL
from commands.models import Job
from iotplatform.common import bulk_sql

logger = logging.getLogger(__name__)

# A page of a job reads so many rows at most, and some that came in the last seconds.
MOST_ROWS = 100
# Jobs that ended before were checked when they had ended.
CHECKED_AFTER_END = timedelta(days=2)
_STATE = """tenant_id, job_id, wave, status, failure_class, waits_for, is_ended,
    is_passed_over"""
_LONG = """
    SELECT job_id FROM commands_jobcount GROUP BY 1 HAVING count(*) > %s
    ORDER BY 1 LIMIT %s
"""
# Rows that another worker adds up are left to it.
_ADD_UP = f"""
    WITH own AS MATERIALIZED (
        SELECT id FROM commands_jobcount WHERE job_id = ANY(%s::bigint[])
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM commands_jobcount c USING own WHERE c.id = own.id RETURNING c.*
    )
    INSERT INTO commands_jobcount ({_STATE}, members)
    SELECT {_STATE}, sum(members) FROM gone GROUP BY {_STATE} HAVING sum(members) <> 0
"""
# Both sides in one statement, so that they are of one moment.
_CORRECT = f"""
    INSERT INTO commands_jobcount ({_STATE}, members)
    SELECT {_STATE}, sum(members) FROM (
        SELECT t.tenant_id, t.job_id, t.wave,
            CASE WHEN c.id IS NOT NULL THEN c.status
                WHEN t.skip_reason = '' THEN 'pending' ELSE 'skipped' END AS status,
            coalesce(c.failure_class, '') AS failure_class,
            coalesce(c.waits_for, '') AS waits_for, c.ended_at IS NOT NULL AS is_ended,
            t.is_passed_over, 1 AS members
        FROM commands_jobtarget t LEFT JOIN commands_command c ON c.id = t.command_id
        WHERE t.job_id = %s
        UNION ALL
        SELECT {_STATE}, -members FROM commands_jobcount WHERE job_id = %s
    ) every
    GROUP BY {_STATE} HAVING sum(members) <> 0
    RETURNING status
"""


def add_up_counts_across_tenants(*, now: datetime, limit: int) -> int:
    """Add up the differences of the jobs that have many; return how many jobs."""
    jobs = [pk for (pk,) in bulk_sql.fetch(_LONG, [MOST_ROWS, limit])]
    bulk_sql.run(_ADD_UP, [jobs])
    return len(jobs)


def check_counts_across_tenants(*, now: datetime) -> int:
    """Compare the counts of jobs with their members, and correct them; return how many
    counts were wrong.
    """
    lately = Q(ended_at__gte=now - CHECKED_AFTER_END)
    jobs = Job.objects.filter(~Q(status__in=JOB_FINAL) | lately).order_by("pk")
    wrong = 0
    for pk in list(jobs.values_list("pk", flat=True)):
        if found := bulk_sql.fetch(_CORRECT, [pk, pk]):
            logger.error("%d counts of job %d were wrong", len(found), pk)
            wrong += len(found)
    return wrong
