"""Many rows for every list of the admin, each with everything that it may refer to."""

from __future__ import annotations

import uuid
from itertools import count
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from fleet.models import IndexState
from registry.choices import Adapter
from registry.models import ApiToken, Space, Tenant, User
from state.models import AdapterPath, ListeningSlot
from tests.factories import TenantFactory
from tests.isolation.rows import APPS, Rows

# Of two exclusive references, one; of references to the same model, the first row.
LEFT_OUT = {
    "registry.MembershipLimit.site",
    "state.MaintenancePlace.device",
    "registry.Device.gateway",
    "registry.Space.parent",
    "commands.Command.retry_of",
    "console.Incident.absorbed_by",
}
_numbers = count(1)


class FullRows(Rows):
    """Like its base, but every optional reference is set."""

    def of(self, model: type[models.Model]) -> Any:
        if model is ApiToken and model not in self.made:
            token = {"digest": uuid.uuid4().hex, "prefix": "iot_x", "scopes": ["read"]}
            self.made[model] = ApiToken.objects.create(user=self.of(User), **token)
        return super().of(model)

    def _value(self, field: Any) -> Any:
        if isinstance(field, models.ForeignKey) and str(field) not in LEFT_OUT:
            return self.of(field.related_model)
        return super()._value(field)


def make_world() -> FullRows:
    """Make a new tenant with a row in every table, and the sign-ins of a person."""
    rows = FullRows(TenantFactory(), "x")
    rows.make_all()
    space = rows.of(Space)
    floor = Space.objects.create(tenant=rows.tenant, site=space.site, slug="floor")
    Space.objects.filter(pk=space.pk).update(parent=floor)
    make_sign_ins(rows.of(User))
    return rows


def make_sign_ins(user: User) -> None:
    """Make the rows that a sign-in leaves, and the platform's own rows."""
    number = next(_numbers)
    EmailAddress.objects.create(user=user, email=f"{number}@example.org")
    Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": "kept to itself"}
    )
    SocialAccount.objects.create(user=user, provider="oidc", uid=str(number))
    UserSession.objects.create(
        user=user, ip="192.0.2.1", user_agent="x", session_key=uuid.uuid4().hex
    )
    about = {"username": user.username, "ip_address": "192.0.2.1", "user_agent": "x"}
    AccessAttempt.objects.create(**about, path_info="/", failures_since_start=1)
    AccessLog.objects.create(**about, path_info="/")
    AccessFailureLog.objects.create(**about, path_info="/")
    now = timezone.now()
    ListeningSlot.objects.create(slot=number, beat_at=now, caught_up_at=now)
    IndexState.objects.get_or_create()
    for name in Adapter.values:
        AdapterPath.objects.get_or_create(adapter=name, defaults={"at": now})


def add_related_rows(model: type[models.Model], world: FullRows, number: int) -> None:
    """Make ``count`` rows of each model that refers to the world's row of this one.

    Of what it may have only one of, that one stays alone.
    """
    for child in apps.get_models(include_auto_created=True):
        if child._meta.app_label not in APPS or not hasattr(child, "tenant"):
            continue
        names = {f.related_model for f in child._meta.fields if f.is_relation}
        if model not in names or child is model:
            continue
        for _ in range(number):
            if not (_made(child, world) or _made(child, world, anew_but=model)):
                break


def _made(child: type[models.Model], world: FullRows, *, anew_but: Any = None) -> bool:
    """Make one more row, with the world's rows, or with new ones except for one."""
    rows = FullRows(world.tenant, "x")
    rows.made = {
        model: row
        for model, row in world.made.items()
        if model is not child and (anew_but is None or model in (anew_but, Tenant))
    }
    try:
        with transaction.atomic():
            rows.of(child)
    except IntegrityError:
        return False
    return True
