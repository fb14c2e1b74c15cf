"""Refusals of the registry."""

from __future__ import annotations

from collections.abc import Iterable

from iotplatform.common.problems import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    Unavailable,
)


class NoSuchObject(NotFound):
    """The caller can see no object of that name."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")


class AmbiguousSlug(BadInput):
    """Several of the caller's tenants have an object with this slug."""

    def __init__(self, what: str, slug: str) -> None:
        super().__init__(
            f"More than one of your tenants has the {what} '{slug}'.",
            errors=[
                {
                    "field": "tenant",
                    "message": f"More than one of your tenants has the {what} "
                    f"'{slug}': name the tenant, as in ?tenant=….",
                }
            ],
        )


class MoveRefused(Conflict):
    """The lifecycle does not allow this move; names the allowed ones."""

    def __init__(self, current: str, to: str, allowed: Iterable[str]) -> None:
        self.allowed = sorted(allowed)
        moves = ", ".join(self.allowed) or "nothing"
        super().__init__(
            f"A device that is {current} cannot become {to}; it may become: {moves}.",
            allowed=self.allowed,
        )


class InUse(Conflict):
    """Something still refers to the object."""


class LifecycleRefuses(Conflict):
    """The device's lifecycle does not allow this."""


class BrokerDoesNotAnswer(Unavailable):
    """The broker did not confirm a change of a credential in time."""


class LastAdmin(Conflict):
    """The last admin of a tenant cannot be removed or demoted."""

    def __init__(self) -> None:
        super().__init__("The tenant's last admin cannot be removed or demoted.")


class SignInRefused(Forbidden):
    """A sign-in through the identity provider matches no person who may sign in."""
