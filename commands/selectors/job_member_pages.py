"""Pages of a job's members: those that a person should look at come first."""

from __future__ import annotations

from django.db.models.expressions import RawSQL

from commands.models import Job, JobTarget
from commands.selectors.job_tallies import FAILURE
from commands.selectors.jobs import list_targets
from registry.selectors.access import sql_within

# The words of the index commands_exceptions.
_EXCEPTION = """(c.status IN ('expired', 'failed', 'timed_out', 'unknown')
    OR c.needs_person)"""
# The others are only looked for where the exceptions do not fill the page.
_PAGE = f"""
    WITH exception AS MATERIALIZED (
        SELECT t.id FROM commands_command c
        JOIN commands_jobtarget t ON t.command_id = c.id
        JOIN registry_device d ON d.id = t.device_id
        WHERE c.job_id = %s AND {_EXCEPTION} AND c.id > %s AND {{accessible}}
        ORDER BY c.id LIMIT %s
    ), other AS MATERIALIZED (
        SELECT t.id FROM commands_jobtarget t
        JOIN registry_device d ON d.id = t.device_id
        LEFT JOIN commands_command c ON c.id = t.command_id
        WHERE t.job_id = %s AND t.id > %s AND {_EXCEPTION} IS NOT TRUE
            AND {{accessible}}
        ORDER BY t.id LIMIT %s - (SELECT count(*) FROM exception)
    )
    SELECT id FROM exception UNION ALL SELECT id FROM other
"""
LAST = 2**63 - 1


def list_exceptions_first(
    job: Job, *, limit: int, after: JobTarget | None = None
) -> list[JobTarget]:
    """Return members with their devices and commands: first those that failed, have an
    unknown outcome or wait for a person; ``after`` is the last one of the page before.
    """
    accessible, within = sql_within([job.tenant], "d")
    command, target = 0, 0
    if after is not None and is_exception(after):
        command = after.command_id or 0
    elif after is not None:
        command, target = LAST, after.pk
    values = [job.pk, command, *within, limit, job.pk, target, *within, limit]
    page = RawSQL(_PAGE.format(accessible=accessible), values)
    return sorted(list_targets(job).filter(pk__in=page), key=_place)


def is_exception(member: JobTarget) -> bool:
    """Whether a person should look at this member."""
    command = member.command
    return command is not None and (command.status in FAILURE or command.needs_person)


def _place(member: JobTarget) -> tuple[bool, int]:
    if is_exception(member):
        return False, member.command_id or 0
    return True, member.pk
