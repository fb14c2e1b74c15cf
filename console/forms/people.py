"""The forms of a person's API keys and of the members of a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone

from console.forms.fields import PLAIN, words_of
from registry.choices import Role, TokenScope

if TYPE_CHECKING:
    from registry.models import Tenant

NEVER = "never"
# Days that a key is valid → label.
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "a year", NEVER: "until revoked"}
SCOPES = {
    TokenScope.READ: "read everything that you may see",
    TokenScope.OPERATE: "send commands, start and approve jobs",
    TokenScope.MANAGE: "register devices, edit products and places, manage members",
}
ROLES = {
    Role.VIEWER: "may only read",
    Role.OPERATOR: "sends commands, starts jobs",
    Role.APPROVER: "also approves others' jobs",
    Role.MANAGER: "also manages devices and products",
    Role.ADMIN: "also manages members",
}


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        widget=forms.TextInput(attrs=PLAIN | {"placeholder": "nightly export"}),
    )
    days = forms.ChoiceField(
        label="Valid for", choices=list(LIFETIMES.items()), initial="90"
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=list(SCOPES.items()),
        initial=[TokenScope.READ],
        error_messages={"required": "Choose one or more."},
    )

    def expires_at(self) -> datetime | None:
        """Return when the key ends; for a valid form."""
        days = self.cleaned_data["days"]
        return None if days == NEVER else timezone.now() + timedelta(days=int(days))


class MemberForm(forms.Form):
    """A new member of one of the tenants that a person administers."""

    user = forms.CharField(
        label="Account", max_length=150, widget=forms.TextInput(attrs=PLAIN)
    )
    role = forms.ChoiceField(
        label="Role",
        choices=[(value, f"{value}: {label}") for value, label in ROLES.items()],
    )
    projects = forms.CharField(
        label="Limited to projects",
        required=False,
        widget=forms.TextInput(attrs=PLAIN | {"placeholder": "empty: no limit"}),
    )
    sites = forms.CharField(
        label="Limited to sites",
        required=False,
        widget=forms.TextInput(attrs=PLAIN | {"placeholder": "empty: no limit"}),
    )

    def __init__(self, tenants: Sequence[Tenant], data: Any) -> None:
        super().__init__(data)
        self.tenants = {row.slug: row for row in tenants}
        if len(tenants) > 1:
            choices = [(slug, slug) for slug in self.tenants]
            self.fields["for_tenant"] = forms.ChoiceField(
                label="Tenant", choices=choices
            )
            self.order_fields(["user", "for_tenant"])

    def tenant(self) -> Tenant:
        """Return the tenant that gets the member; for a valid form."""
        slug = self.cleaned_data.get("for_tenant") or next(iter(self.tenants))
        return self.tenants[slug]

    def places(self) -> dict[str, list[str]]:
        """Return the slugs of the limit; for a valid form."""
        names = ("projects", "sites")
        return {name: words_of(self.cleaned_data[name]) for name in names}
