"""Django admin: sign-ins, sessions and second factors; for superusers.

The libraries' own pages count whole tables, and show stored second factors and session
keys, with which a reader could sign in.
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
    """An admin mixin for rows that are read or deleted, but never changed."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers delete them."""
        return bool(request.user.is_superuser)


@admin.register(EmailAddress)
class AddressAdmin(Bounded, EmailAddressAdmin):  # type: ignore[misc]
    list_select_related = ("user",)
    ordering = ("-pk",)


@admin.register(Authenticator)
class SecondFactorAdmin(EndedHere, Bounded, admin.ModelAdmin[Any]):
    """Second factors without their secrets; deleted for people who lost theirs."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__username__startswith",)
    search_help_text = "Beginning of a user name"
    exclude = ("data",)
    ordering = ("-pk",)


@admin.register(UserSession)
class SessionAdmin(EndedHere, Bounded, admin.ModelAdmin[Any]):
    """Browsers that are signed in; deleting one signs it out."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__username__startswith", "=ip")
    search_help_text = "Beginning of a user name, or an IP address"
    exclude = ("session_key", "data")
    ordering = ("-pk",)

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        obj.end()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            row.end()


class TriesAdmin(Bounded, admin.ModelAdmin[Any]):
    """Attempts to sign in, the latest first."""

    search_fields = ("username__startswith", "=ip_address")
    search_help_text = "Beginning of a user name, or an IP address"
    ordering = ("-pk",)


@admin.register(AccessAttempt)
class AttemptAdmin(EndedHere, TriesAdmin):
    """Names and addresses with recent failures; deleting one ends its lock-out."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    exclude = ("get_data", "post_data")


@admin.register(AccessLog)
class LogAdmin(ReadOnly, TriesAdmin):
    """Successful sign-ins, with the time of signing out."""

    list_display = ("attempt_time", "logout_time", "username", "ip_address")
    exclude = ("session_hash",)


@admin.register(AccessFailureLog)
class FailureLogAdmin(ReadOnly, TriesAdmin):
    """Failed sign-ins."""

    list_display = ("attempt_time", "username", "ip_address", "locked_out")
    list_filter = ("locked_out",)
