"""The table of all routes of the URLconf, and the kind of data behind each.

The isolation test walks it, and fails for a route that is missing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.urls import get_resolver
from django.urls.resolvers import URLResolver

from tests.isolation.rows import Rows


class Kind(StrEnum):
    """The kind of data behind a route."""

    OBJECT = "one object of a tenant"
    MANY = "lists, searches, exports and forms: what the caller may see of each"
    PUBLIC = "nothing of any tenant"
    OWN = "the caller's own account"
    PLATFORM = "the platform's own, for superusers"
    ADMIN = "Django's admin, for staff"
    DEVICE = "devices, with a credential of their own"
    BROKER = "the broker, with the platform's secret"


# All routes under these prefixes: the admin has routes for every model.
TREES = {"admin/": Kind.ADMIN, "broker/v1/": Kind.BROKER}

TABLE: dict[Kind, str] = {
    Kind.PUBLIC: """
        healthz readyz metrics favicon.ico api/schema/ api/docs/ api/ device/
        device/v1/upload/<token>/ device/v1/firmware/<token>/
        admin/login/ admin/logout/ admin/jsi18n/
        api/v1/auth/token/ accounts/login/ accounts/logout/ accounts/inactive/
        accounts/signup/ accounts/oidc/login/ accounts/oidc/callback/
    """,
    Kind.OWN: """
        api/v1/tokens/<token_id>/ keys/<key_id>/revoke/
        accounts/reauthenticate/ accounts/password/change/ accounts/password/set/
        accounts/2fa/ accounts/2fa/authenticate/ accounts/2fa/reauthenticate/
        accounts/2fa/totp/activate/ accounts/2fa/totp/deactivate/
        accounts/2fa/recovery-codes/ accounts/2fa/recovery-codes/generate/
        accounts/2fa/recovery-codes/download/ accounts/sessions/ accounts/connections/
    """,
    Kind.PLATFORM: """
        api/v1/platform/ platform/ api/v1/webhook-hosts/
        api/v1/webhook-hosts/<host_id>/
    """,
    Kind.DEVICE: """
        device/v1/commands/ device/v1/status/ device/v1/heartbeat/
        device/v1/telemetry/ device/v1/reported/ device/v1/event/
        device/v1/commands/<command_id>/ack/
        device/v1/commands/<command_id>/progress/
        device/v1/commands/<command_id>/result/
        device/v1/child/<child>/status/ device/v1/child/<child>/heartbeat/
        device/v1/child/<child>/telemetry/ device/v1/child/<child>/reported/
        device/v1/child/<child>/event/
        device/v1/child/<child>/commands/<command_id>/ack/
        device/v1/child/<child>/commands/<command_id>/progress/
        device/v1/child/<child>/commands/<command_id>/result/
    """,
    Kind.MANY: """
        api/v1/audit/ api/v1/devices/ api/v1/devices/import/ api/v1/devices/export/
        api/v1/firmware-releases/ api/v1/enrolment-keys/ api/v1/enrol/
        api/v1/memberships/ api/v1/tokens/ api/v1/tenants/ api/v1/projects/
        api/v1/sites/ api/v1/spaces/ api/v1/products/ api/v1/hardware-revisions/
        api/v1/batches/ api/v1/maintenance-windows/ api/v1/alarm-rules/ api/v1/alarms/
        api/v1/alarms/acknowledge/ alarms/acknowledge/
        api/v1/alarm-rules/try/ api/v1/dead-letters/ api/v1/dead-letters/replay/
        api/v1/command-definitions/ api/v1/commands/ api/v1/fleet/search/
        api/v1/fleet/fields/ api/v1/fleet/traits/ api/v1/fleet/changes/
        api/v1/fleet/suggest/ api/v1/snapshots/ queue/ attention/
        api/v1/playbooks/ api/v1/playbook-runs/ api/v1/webhooks/ api/v1/notifications/
        api/v1/notification-rules/
        api/v1/fleet/export/ fleet/export/ fleet/completions/ fleet/edit/ fleet/edits/
        fleet/firmware/ api/v1/fleet/firmware/
        policies/ policies/new/
        api/v1/work-items/ api/v1/cohorts/ api/v1/jobs/ api/v1/fleet/edit/
        api/v1/standing-policies/
        api/v1/incidents/ api/v1/sla-policies/ api/v1/reports/sla/
        / fleet/ find/ trust/ cohorts/ jobs/ jobs/new/ commands/ alarms/ alarms/rules/
        alarms/rules/new/ maintenance/ audit/ keys/
        command-definitions/ command-definitions/new/
        dead-letters/ dead-letters/replay/
        registry/devices/new/
        registry/sites/ registry/sites/new/ registry/spaces/ registry/spaces/new/
        registry/projects/ registry/projects/new/ registry/products/
        registry/products/new/ registry/hardware-revisions/
        registry/hardware-revisions/new/ registry/batches/ registry/batches/new/
        registry/firmware-releases/ registry/firmware-releases/new/
        registry/enrolment-keys/ registry/enrolment-keys/new/
        members/ incidents/ reports/sla/ playbooks/ playbooks/new/ webhooks/
        notification-rules/ notification-rules/new/
    """,
    Kind.OBJECT: """
        api/v1/devices/<uid>/ api/v1/devices/<uid>/credentials/
        api/v1/devices/<uid>/credentials/<credential_id>/
        api/v1/devices/<uid>/state/ api/v1/devices/<uid>/feedback/
        api/v1/devices/<uid>/telemetry/ api/v1/devices/<uid>/desired/
        api/v1/devices/<uid>/lifecycle/ api/v1/devices/<uid>/transfer/
        api/v1/devices/<uid>/timeline/
        api/v1/firmware-releases/<release_id>/ api/v1/enrolment-keys/<key_id>/
        api/v1/firmware-releases/<release_id>/file/
        api/v1/memberships/<membership_id>/ api/v1/tenants/<slug>/
        api/v1/projects/<slug>/ api/v1/sites/<slug>/ api/v1/spaces/<slug>/
        api/v1/products/<slug>/ api/v1/hardware-revisions/<slug>/
        api/v1/batches/<slug>/ api/v1/maintenance-windows/<window_id>/
        api/v1/alarm-rules/<rule_id>/ api/v1/alarms/<alarm_id>/
        api/v1/alarms/<alarm_id>/acknowledge/ alarms/<alarm_id>/
        api/v1/command-definitions/<name>/
        api/v1/commands/<command_id>/approve/ api/v1/jobs/<job_id>/approve/
        api/v1/commands/<command_id>/ api/v1/commands/<command_id>/cancel/
        api/v1/commands/<command_id>/retry/ api/v1/commands/<command_id>/escalate/
        api/v1/commands/<command_id>/files/<file_id>/
        commands/<command_id>/files/<file_id>/
        api/v1/jobs/<job_id>/ api/v1/jobs/<job_id>/targets/
        api/v1/jobs/<job_id>/events/ api/v1/jobs/<job_id>/start/
        api/v1/jobs/<job_id>/pause/ api/v1/jobs/<job_id>/resume/
        api/v1/jobs/<job_id>/retry/ api/v1/jobs/<job_id>/cancel/
        api/v1/jobs/<job_id>/skip-waiting/
        api/v1/webhooks/<webhook_id>/ api/v1/webhooks/<webhook_id>/test/
        api/v1/notification-rules/<notification_rule_id>/
        api/v1/notification-rules/<notification_rule_id>/test/
        api/v1/notifications/<notification_id>/
        api/v1/notifications/<notification_id>/replay/
        api/v1/playbooks/<playbook_id>/ api/v1/playbooks/<playbook_id>/runs/
        api/v1/playbook-runs/<run_id>/ api/v1/playbook-runs/<run_id>/devices/
        api/v1/playbook-runs/<run_id>/stop/
        api/v1/playbook-runs/<run_id>/steps/<number>/
        api/v1/playbook-runs/<run_id>/steps/<number>/skip/
        api/v1/playbook-runs/<run_id>/steps/<number>/retry/
        api/v1/jobs/<job_id>/rollback/ api/v1/jobs/<job_id>/lift/
        api/v1/cohorts/<cohort_id>/ api/v1/cohorts/<cohort_id>/snapshot/
        api/v1/snapshots/<snapshot_id>/ api/v1/snapshots/<snapshot_id>/members/
        api/v1/standing-policies/<policy_id>/
        api/v1/fleet/edit/<edit_id>/ api/v1/fleet/edit/<edit_id>/undo/
        api/v1/fleet/edit/<edit_id>/file/
        api/v1/work-items/<item_id>/ api/v1/work-items/<item_id>/claim/
        api/v1/work-items/<item_id>/release/ api/v1/work-items/<item_id>/close/
        queue/<item_id>/<action>/ cohorts/<cohort_id>/calls/
        incidents/<incident_id>/ incidents/<incident_id>/<action>/
        api/v1/sla-policies/<sla_policy_id>/ api/v1/incidents/<incident_id>/
        api/v1/incidents/<incident_id>/claim/
        api/v1/incidents/<incident_id>/release/
        api/v1/incidents/<incident_id>/assign/
        api/v1/incidents/<incident_id>/acknowledge/
        api/v1/incidents/<incident_id>/snooze/
        api/v1/incidents/<incident_id>/note/
        api/v1/incidents/<incident_id>/resolve/
        api/v1/incidents/<incident_id>/reopen/
        api/v1/incidents/<incident_id>/merge/
        api/v1/snapshots/<snapshot_id>/difference/ cohorts/<cohort_id>/snapshots/
        fleet/edits/<edit_id>/ fleet/edits/<edit_id>/now/ fleet/edits/<edit_id>/undo/
        fleet/edits/<edit_id>/file/ policies/<policy_id>/ policies/<policy_id>/delete/
        devices/<uid>/ devices/<uid>/now/ devices/<uid>/story/ devices/<uid>/course/
        devices/<uid>/feedback/ devices/<uid>/lifecycle/ devices/<uid>/commands/
        devices/<uid>/edit/ devices/<uid>/credentials/
        devices/<uid>/credentials/<credential_id>/revoke/
        playbooks/<playbook_id>/ playbooks/<playbook_id>/run/
        playbooks/<playbook_id>/delete/ playbook-runs/<run_id>/
        playbook-runs/<run_id>/progress/ playbook-runs/<run_id>/<action>/
        webhooks/<webhook_id>/<action>/ notifications/<notification_id>/replay/
        notification-rules/<notification_rule_id>/
        notification-rules/<notification_rule_id>/<action>/
        cohorts/<cohort_id>/ cohorts/<cohort_id>/change/ cohorts/<cohort_id>/delete/
        jobs/<job_id>/ jobs/<job_id>/progress/
        jobs/<job_id>/<action>/ commands/<command_id>/ commands/<command_id>/now/
        commands/<command_id>/<action>/ alarms/<alarm_id>/acknowledge/
        alarms/rules/<rule_id>/ alarms/rules/<rule_id>/<action>/
        command-definitions/<definition_id>/
        command-definitions/<definition_id>/delete/
        api/v1/dead-letters/<letter_id>/ api/v1/dead-letters/<letter_id>/replay/
        dead-letters/<letter_id>/
        maintenance/<window_id>/end/ api/v1/maintenance-windows/<window_id>/end/
        members/<membership_id>/change/ members/<membership_id>/remove/
        registry/sites/<site_id>/ registry/sites/<site_id>/delete/
        registry/spaces/<space_id>/ registry/spaces/<space_id>/delete/
        registry/projects/<project_id>/ registry/projects/<project_id>/delete/
        registry/products/<product_id>/ registry/products/<product_id>/delete/
        registry/hardware-revisions/<revision_id>/
        registry/hardware-revisions/<revision_id>/delete/
        registry/batches/<batch_id>/ registry/batches/<batch_id>/delete/
        registry/firmware-releases/<release_id>/
        registry/firmware-releases/<release_id>/delete/
        registry/enrolment-keys/<key_id>/ registry/enrolment-keys/<key_id>/revoke/
    """,
}
KIND_OF = {route: kind for kind, text in TABLE.items() for route in text.split()}

# Parameter → the model that it names an object of; by its public id if nothing else.
MODEL_OF = {
    "uid": "registry.Device",
    "child": "registry.Device",
    "credential_id": "registry.Credential",
    "membership_id": "registry.Membership",
    "key_id": "registry.EnrolmentKey",
    "token_id": "registry.ApiToken",
    "release_id": "registry.FirmwareRelease",
    "window_id": "state.MaintenanceWindow",
    "rule_id": "state.AlarmRule",
    "alarm_id": "state.Alarm",
    "command_id": "commands.Command",
    "name": "commands.CommandDefinition",
    "definition_id": "commands.CommandDefinition",
    "file_id": "commands.DeviceFile",
    "job_id": "commands.Job",
    "cohort_id": "fleet.Cohort",
    "edit_id": "fleet.FleetEdit",
    "policy_id": "fleet.StandingPolicy",
    "incident_id": "console.Incident",
    "item_id": "fleet.CohortCall",
    "sla_policy_id": "console.SlaPolicy",
    "letter_id": "state.DeadLetter",
    "playbook_id": "console.Playbook",
    "webhook_id": "console.Webhook",
    "host_id": "console.WebhookHost",
    "notification_rule_id": "console.NotificationRule",
    "notification_id": "console.Notification",
    "run_id": "console.PlaybookRun",
    "snapshot_id": "fleet.Snapshot",
    "site_id": "registry.Site",
    "space_id": "registry.Space",
    "project_id": "registry.Project",
    "product_id": "registry.Product",
    "revision_id": "registry.HardwareRevision",
    "batch_id": "registry.Batch",
}
FIELD_OF = {"uid": "uid", "child": "uid", "name": "name"}
MODEL_OF_SLUG = {
    "batches": "registry.Batch",
    "hardware-revisions": "registry.HardwareRevision",
    "products": "registry.Product",
    "projects": "registry.Project",
    "sites": "registry.Site",
    "spaces": "registry.Space",
    "tenants": "registry.Tenant",
}
MODEL_IN_CONSOLE = {"keys/<key_id>/revoke/": "registry.ApiToken"}

PATTERN = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
PARAMETER = re.compile(r"<(\w+)>")


def routes() -> list[str]:
    """Return every route that the URLconf knows, written as in the table."""
    return sorted(set(_walk(get_resolver().url_patterns)))


def _walk(patterns: Any, before: str = "") -> Iterator[str]:
    for found in patterns:
        route = before + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from _walk(found.url_patterns, route)
        else:
            plain = PATTERN.sub(lambda match: f"<{match[1] or match[2]}>", route)
            yield plain.replace("^", "").replace("$", "") or "/"


def kind_of(route: str) -> Kind | None:
    """Return the kind of a route; None for one that is missing in the table."""
    if route in KIND_OF:
        return KIND_OF[route]
    return next((k for tree, k in TREES.items() if route.startswith(tree)), None)


def path_to(route: str, rows: Rows) -> str:
    """Fill a route in with the names of a tenant's objects."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "action":
            actions = {"rules/": "delete", "queue/": "close", "incidents/": "claim"}
            actions |= {"playbook-runs/": "stop", "webhooks/": "delete"}
            actions |= {"notification-rules/": "delete"}
            return next((a for part, a in actions.items() if part in route), "cancel")
        if name == "slug":
            collection = route[: match.start()].rstrip("/").split("/")[-1]
            return str(_row(rows, MODEL_OF_SLUG[collection]).slug)
        if name == "number":
            return "1"
        model = MODEL_IN_CONSOLE.get(route, MODEL_OF[name])
        return str(getattr(_row(rows, model), FIELD_OF.get(name, "public_id")))

    return "/" + PARAMETER.sub(value, route).removeprefix("/")


def admin_path_to(route: str, rows: Rows) -> str:
    """Fill a route of the admin in, which names objects by their number."""
    app, _, rest = route.removeprefix("admin/").partition("/")
    model = rest.partition("/")[0]
    number = 1
    if "<path:object_id>" in route or "<object_id>" in route or "<id>" in route:
        found = apps.all_models.get(app, {}).get(model)
        if found is not None and found in rows.made:
            number = rows.made[found].pk
    filled = route.replace("<app_label>", "registry").replace("<url>", "nothing")
    return "/" + PARAMETER.sub(str(number), filled)


def _row(rows: Rows, label: str) -> Any:
    return rows.of(apps.get_model(label))
