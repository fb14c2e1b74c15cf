"""Every table is watched by the audit log, or it is said why it need not be."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.db import connection

# A record of what happened, with its own who and when; a person changes none of it.
HISTORY = {
    "registry_auditentry",
    "registry_deviceimport",
    "registry_lifecyclemove",
    "commands_commandevent",
    "commands_jobevent",
    "django_admin_log",
    "state_alarmchange",
    "state_connectivitytransition",
    "state_twinchange",
}
# What devices, adapters and sweeps write: who asked stands elsewhere, or nobody did.
MACHINES = {
    "state_adapterpath",
    "state_blindspan",
    "state_commandtally",
    "state_deadlettercount",
    "state_eventorder",
    "state_expecteddisconnect",
    "state_heldalarm",
    "state_listeningslot",
    "state_presence",
    "state_risk",
    "state_riskmark",
    "state_sweepmark",
    "state_telemetryrollup",
    "state_telemetrysummary",
    "commands_attempt",
    "commands_idempotencykey",
    "commands_outcometotell",
    "commands_retaineddesired",
    "fleet_indexstate",
    "fleet_outbox",
}
# Rows of a whole whose own row is audited, and which nobody changes one by one.
PARTS = {
    "commands_frozencohort",  # a job's members, proved by its hash
    "commands_jobtarget",
    "commands_jobwave",
    "fleet_snapshotmember",
}
# Django's own book-keeping, sign-in counters and sessions.
FRAMEWORK = {
    "account_emailaddress",  # no mail address is used
    "account_emailconfirmation",
    "auth_permission",
    "axes_accessattempt",
    "axes_accessattemptexpiration",
    "axes_accessfailurelog",
    "axes_accesslog",
    "django_content_type",
    "django_session",
    "socialaccount_socialapp",  # the provider stands in the settings
    "socialaccount_socialtoken",  # no token is kept
    "usersessions_usersession",
}


def all_tables() -> dict[str, str]:
    """Every table that a model stands for, with the kind that the log calls it."""
    return {
        model._meta.db_table: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model.__name__)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed or model._meta.db_table in HISTORY
    }


def audited_tables() -> dict[str, tuple[int, str]]:
    """The tables with the log's triggers: how many, and the kind that they write."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, count(*),"
            " min(split_part(encode(t.tgargs, 'escape'), E'\\\\000', 1))"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgfoid = 'registry_audit'::regproc GROUP BY c.relname"
        )
        return {table: (count, kind) for table, count, kind in cursor.fetchall()}


@pytest.mark.django_db
def test_every_table_is_audited_or_said_not_to_be_a_persons() -> None:
    tables = all_tables()
    audited = audited_tables()
    excused = HISTORY | MACHINES | PARTS | FRAMEWORK

    assert set(tables) - set(audited) - excused == set(), (
        "put audit_changes() of iotplatform/common/audit.py into the table's"
        " migration, or say here why nobody's change of it is one"
    )
    assert set(audited) & excused == set()
    for table, (count, kind) in audited.items():
        assert count == 3, table
        assert kind == tables[table].lower(), table
