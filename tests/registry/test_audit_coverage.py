"""Every table has the triggers of the audit log, or a reason why not."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.db import connection

# Logs of events with their own actor and time; people never change them.
HISTORY = {
    "console_incidentevent",
    "registry_auditentry",
    "registry_deviceimport",
    "registry_lifecyclemove",
    "registry_pastdevice",
    "commands_commandevent",
    "commands_jobevent",
    "django_admin_log",
    "state_alarmchange",
    "state_connectivitytransition",
    "state_paststart",
    "state_pasttwin",
    "state_twinchange",
}
# Written by devices, adapters and sweeps: the actor is logged elsewhere, or none.
MACHINES = {
    "console_notification",
    "console_outgoingevent",
    "console_incidentinterval",
    "console_incidentmember",
    "console_sladay",
    "console_slarecount",
    "state_adapterpath",
    "state_attentionentry",
    "state_blindspan",
    "state_commandtally",
    "state_deadlettercount",
    "state_eventorder",
    "state_expecteddisconnect",
    "state_heldalarm",
    "state_lastfinding",
    "state_listeningslot",
    "state_presence",
    "state_risk",
    "state_riskmark",
    "state_sweepmark",
    "state_telemetryrollup",
    "state_telemetrysummary",
    "commands_attempt",
    "commands_deliveryminute",
    "commands_devicefile",
    "commands_devicefilepart",
    "commands_idempotencykey",
    "commands_jobcount",
    "commands_outcometotell",
    "commands_retaineddesired",
    "fleet_cohortmember",
    "fleet_cohortsize",
    "fleet_cohortwatch",
    "fleet_indexstate",
    "fleet_policycompliance",
    "fleet_policymember",
    "fleet_outbox",
}
# Parts of an object that is audited itself; nobody changes them one by one.
PARTS = {
    "console_playbookrundevice",
    "console_playbookstep",
    "console_playbookversion",  # written with its playbook
    "commands_frozencohort",  # a job's members, checked by its hash
    "commands_heldchange",  # a lift is an event of its job
    "commands_jobhealth",
    "commands_jobrollback",
    "commands_jobtarget",
    "commands_jobwave",
    "commands_membervalues",
    "fleet_editeddevice",  # the devices themselves are audited
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
    "socialaccount_socialapp",  # the provider is in the settings
    "socialaccount_socialtoken",  # no token is stored
    "usersessions_usersession",
}


def all_tables() -> dict[str, str]:
    """Return every table of a model, with its kind in the log."""
    return {
        model._meta.db_table: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model.__name__)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed or model._meta.db_table in HISTORY
    }


def audited_tables() -> dict[str, tuple[int, str]]:
    """Return the tables with the log's triggers: how many, and the kind they write."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, count(*),"
            " min(split_part(encode(t.tgargs, 'escape'), E'\\\\000', 1))"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgfoid = 'registry_audit'::regproc GROUP BY c.relname"
        )
        return {table: (count, kind) for table, count, kind in cursor.fetchall()}


@pytest.mark.django_db
def test_every_table_is_audited_or_listed_as_not_written_by_people() -> None:
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
