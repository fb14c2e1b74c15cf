"""Writes of the accounts at an identity provider that people's own are connected to."""

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

UNVERIFIED = "It does not say that an e-mail address of yours is verified."
NOBODY = "Nobody here has the address {email}. An administrator makes accounts."
SEVERAL = "More than one account here has the address {email}."
ABOVE_ALL = (
    "A superuser is not recognised by an address: sign in with your password, and"
    " connect the account in your own menu."
)
ANOTHER = (
    "Another account there is connected to the person of the address {email}. If it is"
    " no longer theirs, an administrator removes that connection."
)
NO_NAME = "An account cannot be named {email}, or one is and has not that address."


@transaction.atomic
def connect_by_address(
    account: SocialAccount,
    *,
    email: str,
    is_verified: bool,
    may_sign_up: bool,
    **names: str,
) -> User:
    """Connect an account that comes for the first time to the person of its address.

    With ``may_sign_up`` a stranger gets an account of their own, with these ``names``,
    no membership and no password. Raises SignInRefused, in words for the person, for an
    address that is not verified, that nobody or more than one has, for a superuser, and
    where another account was connected before: an address may pass to somebody else.
    """
    if not email or not is_verified:
        raise SignInRefused(UNVERIFIED)
    found = find_people_by_address_across_tenants(email)
    if len(found) > 1:
        raise SignInRefused(SEVERAL.format(email=email))
    if found:
        # Locked, so that two accounts that come at once do not both get in.
        user = User.objects.select_for_update(no_key=True).get(pk=found[0].pk)
        if user.is_superuser:
            raise SignInRefused(ABOVE_ALL)
        connected = list_uids_of(user, provider=account.provider)
        if account.uid in connected:
            return user  # it came twice at once
        if connected:
            raise SignInRefused(ANOTHER.format(email=email))
    elif may_sign_up:
        user = _make_person(email, names)
    else:
        raise SignInRefused(NOBODY.format(email=email))
    account.user = user
    # Whoever proved to have the address is who acts here: the audit log names them.
    with tenant_scope.scoped(
        replace(tenant_scope.current() or tenant_scope.Scope(), user_id=user.pk)
    ):
        account.save()
    return user


def _make_person(email: str, names: dict[str, Any]) -> User:
    """Make the account of a stranger, called as their address is."""
    user = User(username=email, email=email, **names)
    user.set_unusable_password()
    try:
        save_checked(user)
    except (BadInput, ValidationError) as error:
        raise SignInRefused(NO_NAME.format(email=email)) from error
    return user
