"""Writes of connections: a person's accounts at an identity provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction

from iotplatform.common import tenant_scope
from iotplatform.common.problems import BadInput
from registry.exceptions import SignInRefused
from registry.models import User
from registry.selectors.connections import (
    find_people_by_address_across_tenants,
    list_uids_of,
)
from registry.services.constraint_errors import save_checked

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialAccount

UNVERIFIED = "It does not confirm that your e-mail address is verified."
NOBODY = "No account here has the address {email}. Ask an administrator for one."
SEVERAL = "More than one account here has the address {email}."
ABOVE_ALL = (
    "Superusers are not matched by their address. Sign in with your password, then"
    " connect the account in your own menu."
)
ANOTHER = (
    "The person with the address {email} is connected to another account there. If it"
    " is no longer theirs, an administrator can remove that connection."
)
NO_NAME = (
    "No account can be named {email}: the name is not valid, or an account with another"
    " address has it."
)


@transaction.atomic
def connect_by_address(
    account: SocialAccount,
    *,
    email: str,
    is_verified: bool,
    may_sign_up: bool,
    **names: str,
) -> User:
    """Connect an account at its first sign-in to the person with its address.

    With ``may_sign_up`` an unknown person gets an account with these ``names``, without
    membership and password. Raises SignInRefused, with a sentence for the person, if
    the address is not verified, if no person or several have it, for a superuser, and
    if another account is connected: an address may pass on to another person.
    """
    if not email or not is_verified:
        raise SignInRefused(UNVERIFIED)
    found = find_people_by_address_across_tenants(email)
    if len(found) > 1:
        raise SignInRefused(SEVERAL.format(email=email))
    if found:
        # Locked, so that of two accounts at the same time only one is connected.
        user = User.objects.select_for_update(no_key=True).get(pk=found[0].pk)
        if user.is_superuser:
            raise SignInRefused(ABOVE_ALL)
        connected = list_uids_of(user, provider=account.provider)
        if account.uid in connected:
            return user  # a second sign-in at the same time
        if connected:
            raise SignInRefused(ANOTHER.format(email=email))
    elif may_sign_up:
        user = _make_person(email, names)
    else:
        raise SignInRefused(NOBODY.format(email=email))
    account.user = user
    # The person who proved to have the address is the actor in the audit log.
    with tenant_scope.scoped(
        replace(tenant_scope.current() or tenant_scope.TenantScope(), user_id=user.pk)
    ):
        account.save()
    return user


def _make_person(email: str, names: dict[str, Any]) -> User:
    """Make an account for an unknown person, named after their address."""
    user = User(username=email, email=email, **names)
    user.set_unusable_password()
    try:
        save_checked(user)
    except (BadInput, ValidationError) as error:
        raise SignInRefused(NO_NAME.format(email=email)) from error
    return user
