"""Who has a second factor, and who needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.mfa.models import Authenticator
from django.conf import settings

from registry.choices import Role
from registry.models import Membership

if TYPE_CHECKING:
    from registry.models import User

SUPERUSERS, ADMINS, EVERYBODY = "superusers", "admins", "everybody"


def has_second_factor(user: User) -> bool:
    """Whether the person needs more than a password to sign in."""
    return bool(Authenticator.objects.filter(user=user.pk).exists())


def needs_second_factor(user: User) -> bool:
    """Whether the settings require a second factor of this person."""
    wanted = settings.SECOND_FACTOR_REQUIRED_OF
    if EVERYBODY in wanted or (SUPERUSERS in wanted and user.is_superuser):
        return True
    admins = Membership.objects.filter(user=user.pk, role=Role.ADMIN)
    return ADMINS in wanted and admins.exists()
