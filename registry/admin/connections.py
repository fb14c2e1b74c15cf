"""Django admin: accounts at an identity provider that sign people in."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from iotplatform.common.admin import ReadOnly
from registry.admin.shared.large_lists import Bounded

# The provider is configured in the settings, and its tokens are not stored.
admin.site.unregister([SocialAccount, SocialApp, SocialToken])


@admin.register(SocialAccount)
class ConnectionAdmin(ReadOnly, Bounded, admin.ModelAdmin[SocialAccount]):
    """Made when a person signs in; removed here if the account changed hands."""

    list_display = ("user", "provider", "date_joined", "last_login")
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email", "uid")
    fields = ("user", "provider", "uid", "extra_data", "date_joined", "last_login")

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | Any | None = None
    ) -> bool:
        return bool(request.user.is_superuser)
