"""SQL of the triggers that count the members of jobs by wave and state.

Statement triggers with transition tables, so that nobody who moves a command or a
member can forget the counts. They add rows of differences, and change none: two bridges
that move members of one wave do not wait for each other. A sweep adds rows up. The
functions run as their owner, as those of fleet's outbox.

Each run is planned anew (EXECUTE): a plan that was kept from one changed row would
compare each old row with each new one, which takes minutes for 100,000.
"""

COLUMNS = """tenant_id, job_id, wave, status, failure_class, waits_for, is_ended,
        is_passed_over, members"""
# The state of a member t whose command is c.
STATE = """
            CASE WHEN c.id IS NOT NULL THEN c.status
                WHEN t.skip_reason = '' THEN 'pending' ELSE 'skipped' END,
            coalesce(c.failure_class, ''), coalesce(c.waits_for, ''),
            c.ended_at IS NOT NULL, t.is_passed_over"""
ALL_MEMBERS = f"""
    INSERT INTO commands_jobcount ({COLUMNS})
    SELECT t.tenant_id, t.job_id, t.wave, {STATE}, count(*)
    FROM commands_jobtarget t LEFT JOIN commands_command c ON c.id = t.command_id
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
"""
_OF_COMMANDS = f"""
    INSERT INTO commands_jobcount ({COLUMNS})
    SELECT t.tenant_id, t.job_id, t.wave, v.status, v.failure_class, v.waits_for,
        v.is_ended, t.is_passed_over, sum(v.members)
    FROM old_rows o JOIN new_rows n ON n.id = o.id
    JOIN commands_jobtarget t ON t.command_id = n.id
    CROSS JOIN LATERAL (VALUES
        (o.status, o.failure_class, o.waits_for, o.ended_at IS NOT NULL, -1),
        (n.status, n.failure_class, n.waits_for, n.ended_at IS NOT NULL, 1)
    ) AS v (status, failure_class, waits_for, is_ended, members)
    WHERE n.job_id IS NOT NULL
        AND (o.status, o.failure_class, o.waits_for, o.ended_at IS NULL)
            IS DISTINCT FROM (n.status, n.failure_class, n.waits_for, n.ended_at IS NULL)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    HAVING sum(v.members) <> 0;
"""
_CHANGED = """
        (t.wave, t.command_id, t.skip_reason = '', t.is_passed_over) IS DISTINCT FROM
        (u.wave, u.command_id, u.skip_reason = '', u.is_passed_over)"""


def _of_members(rows: str) -> str:
    return f"""
    INSERT INTO commands_jobcount ({COLUMNS})
    SELECT t.tenant_id, t.job_id, t.wave, {STATE}, sum(t.sign)
    FROM ({rows}) t LEFT JOIN commands_command c ON c.id = t.command_id
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    HAVING sum(t.sign) <> 0;
"""


_MOVED = f"""
        SELECT t.*, -1 AS sign FROM old_rows t JOIN new_rows u ON u.id = t.id
        WHERE {_CHANGED}
        UNION ALL
        SELECT t.*, 1 FROM new_rows t JOIN old_rows u ON u.id = t.id WHERE {_CHANGED}"""


def _trigger(table: str, event: str, tables: str, body: str) -> str:
    name = f"{table}_counts_{event}"
    return f"""
CREATE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    EXECUTE $sql${body}$sql$;
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {name}() FROM PUBLIC;
CREATE TRIGGER {name} AFTER {event.upper()} ON {table}
    REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""


BOTH = "OLD TABLE AS old_rows NEW TABLE AS new_rows"
MEMBERS, COMMANDS = "commands_jobtarget", "commands_command"
CREATE = "".join(
    [
        ALL_MEMBERS,
        _trigger(COMMANDS, "update", BOTH, _OF_COMMANDS),
        _trigger(MEMBERS, "update", BOTH, _of_members(_MOVED)),
        _trigger(
            MEMBERS,
            "insert",
            "NEW TABLE AS new_rows",
            _of_members("SELECT n.*, 1 AS sign FROM new_rows n"),
        ),
        _trigger(
            MEMBERS,
            "delete",
            "OLD TABLE AS old_rows",
            _of_members("SELECT o.*, -1 AS sign FROM old_rows o"),
        ),
    ]
)
DROP = "".join(
    f"DROP TRIGGER {table}_counts_{event} ON {table};"
    f" DROP FUNCTION {table}_counts_{event}();"
    for table, event in (
        (COMMANDS, "update"),
        (MEMBERS, "update"),
        (MEMBERS, "insert"),
        (MEMBERS, "delete"),
    )
)
