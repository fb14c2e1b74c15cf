"""Access to every route: people not signed in, of other tenants, and viewers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from commands.models import CommandDefinition, Job
from commands.services.definitions import create_definition
from console.models import (
    Incident,
    Notification,
    NotificationRule,
    Playbook,
    PlaybookRun,
    Webhook,
)
from console.urls import urlpatterns
from console.views.registry_nouns import NOUNS
from fleet.models import Cohort, CohortCall, FleetEdit, StandingPolicy
from registry.choices import Role
from registry.models import Device, EnrolmentKey, FirmwareRelease, Tenant
from registry.services.credentials import issue_credential
from registry.services.enrolment import create_enrolment_key
from state.models import Alarm
from tests.console.conftest import Fleet
from tests.console.jobs import launch
from tests.factories import BatchFactory, ProjectFactory, SpaceFactory, UserFactory
from tests.fleet.rows import make_alarm, make_letter
from tests.isolation.rows import Rows
from tests.pages.full_data import add_log
from tests.state.scene import announce
from tests.state.test_alarm_rules import rule_for

pytestmark = pytest.mark.django_db

UNUSED_ID = "01890000-0000-7000-8000-000000000000"
VALUES = {"uid": "nobody", "action": "cancel"}
# Objects that a row of their table is enough for.
MADE = {
    "edit_id": FleetEdit,
    "policy_id": StandingPolicy,
    "incident_id": Incident,
    "playbook_id": Playbook,
    "run_id": PlaybookRun,
    "webhook_id": Webhook,
    "notification_rule_id": NotificationRule,
    "notification_id": Notification,
}
# Pages that a viewer may not see.
NOT_FOR_VIEWERS = {
    *("platform", "audit", "members", "new-rule", "new-definition", "cohort-change"),
    *("new-device", "device-edit", "device-credentials"),
    *("new-edit", "new-policy", "new-playbook", "webhooks"),
    *("notification-rules", "new-notification-rule", "notification-rule"),
    *(f"registry-{noun.path}-new" for noun in NOUNS),
    *("registry-enrolment-keys", "registry-enrolment-keys-one"),
}


def address(pattern: URLPattern, **values: Any) -> str:
    """The path of the route with these values; missing ones name no object."""
    text = str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        kind = type(converter).__name__
        default = UNUSED_ID if kind == "UUIDConverter" else VALUES.get(name, "x")
        value = values.get(name, default)
        for prefix in ("uuid", "str", "slug"):
            text = text.replace(f"<{prefix}:{name}>", str(value))
    return f"/{text}"


def objects_of(fleet: Fleet) -> dict[str, Any]:
    """One object for every parameter of a route."""
    device = fleet.devices[0]
    alarm: Alarm = make_alarm(device)
    cohort = Cohort.objects.create(tenant=fleet.tenant, name="all", query="*")
    job: Job = launch(fleet, "*")
    command = fleet.command(device)
    batch = BatchFactory.create(tenant=fleet.tenant)
    rows = Rows(device.tenant)
    return {
        "uid": device.uid,
        "credential_id": issue_credential(device).credential.public_id,
        "site_id": device.site.public_id,
        "space_id": SpaceFactory.create(tenant=fleet.tenant).public_id,
        "project_id": ProjectFactory.create(tenant=fleet.tenant).public_id,
        "product_id": device.product.public_id,
        "revision_id": batch.hardware_revision.public_id,
        "batch_id": batch.public_id,
        "release_id": _release_for(device).public_id,
        "key_id": _key_for(device).public_id,
        "cohort_id": cohort.public_id,
        "item_id": CohortCall.objects.create(
            **{"tenant": fleet.tenant, "cohort": cohort, "kind": "reached"},
            opened_at=timezone.now(),
        ).public_id,
        "job_id": job.public_id,
        "command_id": command.public_id,
        "file_id": add_log(command).public_id,
        "alarm_id": alarm.public_id,
        "window_id": announce(
            device, begin=timezone.now(), end=timezone.now() + timedelta(hours=1)
        ).public_id,
        "rule_id": rule_for(device).public_id,
        "definition_id": own_command(fleet.tenant).public_id,
        "letter_id": make_letter(device).public_id,
        **{name: rows.of(model).public_id for name, model in MADE.items()},
    }


def own_command(tenant: Tenant) -> CommandDefinition:
    """A command that a tenant has defined."""
    return create_definition(
        tenant=tenant, name="turn", command_class="operation", description="Turn it."
    )


def _release_for(device: Device) -> FirmwareRelease:
    return FirmwareRelease.objects.create(
        **{"tenant": device.tenant, "version": "1.5.0", "file": "firmware/none.bin"},
        **{"size": 1, "sha256": "0" * 64},
    )


def _key_for(device: Device) -> EnrolmentKey:
    key, _ = create_enrolment_key(
        tenant=device.tenant,
        site=device.site,
        product=device.product,
        max_devices=5,
        expires_at=timezone.now() + timedelta(days=1),
    )
    return key


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda p: p.name)
def test_a_person_who_is_not_signed_in_goes_to_the_sign_in_page(
    pattern: URLPattern, client: Client
) -> None:
    path = address(pattern)

    answers = [client.get(path), client.post(path)]

    for answer in answers:
        # A route for POST only answers 405 before it checks the sign-in.
        assert answer.status_code in (301, 302, 405), path
        if answer.status_code != 405 and pattern.name != "home":
            assert answer["Location"].startswith("/accounts/login/"), path


def test_objects_of_another_tenant_are_not_found(acme: Fleet, globex: Fleet) -> None:
    theirs = objects_of(globex)
    client = acme.client(Role.ADMIN)

    found = []
    for pattern in urlpatterns:
        if not pattern.pattern.converters:
            continue
        path = address(pattern, **theirs)
        statuses = {client.get(path).status_code, client.post(path).status_code}
        found.append((path, statuses))

    assert found
    for path, statuses in found:
        assert statuses <= {404, 405}, path


def test_lists_show_nothing_of_another_tenant(acme: Fleet, globex: Fleet) -> None:
    objects_of(globex)
    client = acme.client()

    for path in (
        "/fleet/",
        "/cohorts/",
        "/jobs/",
        "/commands/",
        "/alarms/",
        "/alarms/rules/",
        "/command-definitions/",
    ):
        text = client.get(path).content.decode()
        assert "gx-0" not in text, path
        assert "globex" not in text, path


def test_a_viewer_sees_every_page_and_changes_nothing(acme: Fleet) -> None:
    ours = objects_of(acme)
    client = acme.client(Role.VIEWER)

    for pattern in urlpatterns:
        path = address(pattern, **ours)
        if pattern.name in NOT_FOR_VIEWERS:
            assert client.get(path).status_code == 403
        elif pattern.name not in ("home", "find", "new-job"):
            assert client.get(path).status_code in (200, 405), path
    changes = {
        "device-lifecycle": {"to": "retired", "reason": "no"},
        "device-send": {"command": "reboot"},
        "device-edit": {"name": "mine"},
        "device-credentials": {},
        "credential-revoke": {},
        "new-device": {"uid": "mine"},
        "cohorts": {"name": "mine", "q": "*"},
        "cohort-change": {"name": "mine", "q": "*"},
        "cohort-delete": {},
        "cohort-snapshots": {},
        "cohort-calls": {"action": "close"},
        "queue-act": {},
        "new-job": {"q": "*", "step": "command"},
        "job-act": {},
        "command-act": {},
        "alarm-acknowledge": {},
        "new-rule": {"name": "x"},
        "rule": {"name": "x"},
        "rule-act": {},
        "new-definition": {"name": "x"},
        "definition": {"name": "x"},
        "definition-delete": {},
        "members": {"user": "x", "role": "viewer"},
        "member-change": {"role": "admin"},
        "member-remove": {},
    }
    for noun in NOUNS:
        for what in ("new", "one", noun.remove_word):
            changes[f"registry-{noun.path}-{what}"] = {}
    for pattern in urlpatterns:
        if pattern.name in changes:
            path = address(pattern, **ours)
            assert client.post(path, changes[pattern.name]).status_code == 403, path


def test_a_person_without_a_tenant_gets_an_empty_page_or_a_refusal(
    acme: Fleet,
) -> None:
    client = Client()
    client.force_login(UserFactory())
    plain = [p for p in urlpatterns if "<" not in str(p.pattern)]

    answers = {str(p.pattern): client.get(f"/{p.pattern}").status_code for p in plain}

    assert answers["queue/"] == answers["reports/sla/"] == 200
    assert set(answers.values()) <= {200, 302, 400, 403, 405}, answers


def test_an_operator_cannot_change_a_lifecycle(acme: Fleet) -> None:
    client = acme.client(Role.OPERATOR)

    answer = client.post("/devices/sh-0/lifecycle/", {"to": "retired", "reason": "x"})

    assert answer.status_code == 403
    acme.devices[0].refresh_from_db()
    assert acme.devices[0].lifecycle == "active"


def test_a_change_without_a_csrf_token_is_refused(acme: Fleet) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(acme.person(Role.OPERATOR))

    answer = client.post("/cohorts/", {"name": "mine", "q": "*"})

    assert answer.status_code == 403
    assert not Cohort.objects.exists()


def test_no_page_needs_an_inline_script_or_style(acme: Fleet) -> None:
    ours = objects_of(acme)
    client = acme.client(Role.MANAGER)

    for pattern in urlpatterns:
        answer = client.get(address(pattern, **ours))
        if answer.streaming:
            continue  # a file, no page
        text = answer.content.decode()
        assert " style=" not in text, pattern.name
        assert "<style" not in text, pattern.name
        assert "onclick=" not in text, pattern.name
        assert "<script>" not in text, pattern.name
        if answer.status_code == 200:
            policy = answer["Content-Security-Policy"]
            assert "unsafe" not in policy
