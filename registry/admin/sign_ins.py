"""Django admin: how people signed in, and what they sign in with; for the platform.

The libraries' own pages count whole tables, and show second factors and sessions as
they are stored, which is as good as being signed in.
"""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.http import HttpRequest

from iotplatform.common.admin import ReadOnly
from registry.admin.shared.large_lists import Bounded

OURS = (
    *(EmailAddress, Authenticator, UserSession),
    *(AccessAttempt, AccessLog, AccessFailureLog),
)
for model in OURS:
    admin.site.unregister(model)


class EndedHere(ReadOnly):
    """Mixed into an admin of rows that are looked at, or ended."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The platform's people end them."""
        return bool(request.user.is_superuser)


@admin.register(EmailAddress)
class AddressAdmin(Bounded, EmailAddressAdmin):  # type: ignore[misc]
    """Addresses of people."""

    list_select_related = ("user",)
    ordering = ("-pk",)


@admin.register(Authenticator)
class SecondFactorAdmin(EndedHere, Bounded, admin.ModelAdmin[Any]):
    """Second factors, without what they are; deleted for who lost theirs."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__username__startswith",)
    search_help_text = "What a person's name begins with"
    exclude = ("data",)
    ordering = ("-pk",)


@admin.register(UserSession)
class SessionAdmin(EndedHere, Bounded, admin.ModelAdmin[Any]):
    """Browsers that are signed in; deleting one signs it out."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__username__startswith", "=ip")
    search_help_text = "What a person's name begins with, or an address"
    exclude = ("session_key", "data")
    ordering = ("-pk",)

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        """Sign the browser out."""
        obj.end()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Sign each of them out."""
        for row in queryset:
            row.end()


class TriesAdmin(Bounded, admin.ModelAdmin[Any]):
    """Tries to sign in, the latest first."""

    search_fields = ("username__startswith", "=ip_address")
    search_help_text = "What a name begins with, or an address"
    ordering = ("-pk",)


@admin.register(AccessAttempt)
class AttemptAdmin(EndedHere, TriesAdmin):
    """Names and addresses that failed lately; deleting one lets it try again."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    exclude = ("get_data", "post_data")


@admin.register(AccessLog)
class LogAdmin(ReadOnly, TriesAdmin):
    """Who came in, and went out."""

    list_display = ("attempt_time", "logout_time", "username", "ip_address")
    exclude = ("session_hash",)


@admin.register(AccessFailureLog)
class FailureLogAdmin(ReadOnly, TriesAdmin):
    """Who was not let in."""

    list_display = ("attempt_time", "username", "ip_address", "locked_out")
    list_filter = ("locked_out",)
