"""The data behind the pages: a row for every page that shows one, and two people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from axes.models import AccessFailureLog
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from commands.models import Command, DeviceFile, Job
from fleet.models import Cohort, FleetEdit, StandingPolicy
from fleet.services.edits import EditRequest, start_edit
from fleet.services.indexing import Indexer
from fleet.services.policies import create_policy
from registry.models import Device, Tenant, User
from registry.services.tokens import create_token
from state.models import (
    AdapterPath,
    Alarm,
    AlarmRule,
    ListeningSlot,
    TelemetryRollup,
    TelemetrySummary,
)
from state.services.partitions import keep_partitions
from tests.console.conftest import Fleet
from tests.console.jobs import launch
from tests.factories import ProductFactory, SiteFactory, TenantFactory, UserFactory
from tests.fleet.rows import make_alarm, make_presence, make_risk, make_twin
from tests.isolation.rows import Rows
from tests.pages.full_data import add_full_cohort, add_full_data, add_log
from tests.state.test_alarm_rules import rule_for

PASSWORD = "a-password-of-the-walk"
SIGN_IN, AGAIN = "/accounts/login/", "/accounts/reauthenticate/"


@dataclass
class World:
    """The rows of a tenant, and the people who open the pages."""

    rows: Rows
    superuser: User
    # Has no password and no second factor, for the pages that set them up.
    newcomer: User

    def row_of(self, label: str) -> Any:
        """Return any row of a model; a LookupError names one that has none."""
        row = apps.get_model(label)._default_manager.first()
        if row is None:
            raise LookupError(f"make a row of {label} in {__name__}")
        return row


def make_world(indexer: Indexer) -> World:
    """Fill the tables; every model of the admin has a row afterwards."""
    rows = Rows(TenantFactory(slug="acme"), "acme")
    rows.make_all()
    Job.objects.all().delete()  # the console test data below has its own job
    rows.made |= _fleet_of(rows.tenant, indexer)
    superuser = UserFactory(
        username="walker@acme", password=PASSWORD, is_superuser=True, is_staff=True
    )
    newcomer = UserFactory(
        username="newcomer@acme", password=PASSWORD, is_superuser=True, is_staff=True
    )
    Client().post(SIGN_IN, {"login": newcomer.username, "password": PASSWORD})
    Client().post(SIGN_IN, {"login": superuser.username, "password": "wrong"})
    newcomer.set_unusable_password()
    newcomer.save()
    TOTP.activate(superuser, generate_totp_secret())
    RecoveryCodes.activate(superuser)
    create_token(user=superuser, name="night", scopes=["read"])
    EmailAddress.objects.create(user=superuser, email="walker@acme.example")
    SocialAccount.objects.create(user=superuser, provider="oidc", uid="1001")
    AccessFailureLog.objects.create(username="walker@acme", user_agent="x")
    now = timezone.now()
    ListeningSlot.objects.create(
        slot=1, owner="bridge-1", beat_at=now, caught_up_at=now
    )
    AdapterPath.objects.create(adapter="mqtt", at=now, tries=10, unanswered=1)
    world = World(rows, superuser, newcomer)
    for model in admin.site._registry:
        world.row_of(model._meta.label)
    return world


def _fleet_of(tenant: Tenant, indexer: Indexer) -> dict[type[Model], Any]:
    """Make devices with presence, telemetry and commands, and what belongs to them."""
    fleet = Fleet(tenant, indexer)
    product = ProductFactory(tenant=tenant, slug="sensor-s1")
    site = SiteFactory(tenant=tenant, slug="shanghai-01")
    now = timezone.now()
    for number in range(3):
        device = fleet.add(f"sh-{number}", site=site, product=product)
        connectivity = "online" if number else "offline"
        make_presence(device, connectivity=connectivity, disconnects_72h=number * 6)
        make_twin(device, firmware="1.4.2", reported={"interval": 10})
        make_risk(device, 40, flapping=40)
        TelemetrySummary.objects.create(
            device=device,
            tenant=tenant,
            latest={"temperature": {"value": 21.5, "at": now.isoformat()}},
        )
        _measure(device, now)
    device = fleet.devices[0]
    add_full_data(fleet, site)
    job = launch(fleet, "*")
    command = fleet.command(device)
    cohort = add_full_cohort(fleet)
    tags = {"tags": {"add": ["seen"]}}
    return {
        Cohort: cohort,
        FleetEdit: start_edit(EditRequest(tenant, "*", tags, "A walk"), actor=None),
        StandingPolicy: create_policy(
            tenant=tenant,
            actor=None,
            changes={
                "name": "Lights on",
                "cohort": str(cohort.public_id),
                "desired": {"topic": "{{ site.slug }}/{{ device.uid }}"},
            },
        ),
        Device: device,
        Job: job,
        Command: command,
        DeviceFile: add_log(command),
        Alarm: make_alarm(device),
        AlarmRule: rule_for(device),
    }


def _measure(device: Device, now: datetime) -> None:
    """Give a device some temperatures, so that its chart is drawn."""
    keep_partitions(now=now)
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    TelemetryRollup.objects.bulk_create(
        TelemetryRollup(
            tenant=device.tenant,
            device=device,
            metric="temperature",
            step=300,
            at=begin + number * timedelta(minutes=5),
            minimum=20.0,
            maximum=22.0 + number,
            total=42.0,
            count=2,
            last=22.0,
            last_at=begin + number * timedelta(minutes=5),
        )
        for number in range(12)
    )


def session_of(user: User) -> str:
    """Sign a person in, freshly reauthenticated; return the session cookie."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    if user.has_usable_password():
        assert client.post(AGAIN, {"password": PASSWORD}).status_code == 302
    return client.cookies[settings.SESSION_COOKIE_NAME].value
