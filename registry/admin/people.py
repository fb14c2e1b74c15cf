"""Django admin: people, their memberships, and the keys of their scripts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from registry.admin.base import ServiceAdmin, for_each, show_once
from registry.lifecycle import Scope
from registry.models import ApiToken, Membership, User
from registry.services.people import save_membership
from registry.services.tokens import create_token, revoke_token

# Roles in tenants say what people may do; Django's groups would be a second answer.
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Accounts; what they may do stands in their memberships."""

    list_display = ("username", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Platform", {"fields": ("is_active", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")


@admin.register(Membership)
class MembershipAdmin(ServiceAdmin[Membership]):
    """Who is what in which tenant."""

    list_display = ("user", "tenant", "role", "created_at")
    list_select_related = ("user", "tenant")
    list_filter = ("role", ("tenant", admin.RelatedOnlyFieldListFilter))
    search_fields = ("user__username", "tenant__slug")
    autocomplete_fields = ("user", "tenant")

    def save_model(
        self, request: HttpRequest, obj: Membership, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        save_membership(obj)


class TokenForm(forms.ModelForm[ApiToken]):
    """What a person says about a new key."""

    scopes = forms.MultipleChoiceField(choices=Scope.choices)

    class Meta:
        model = ApiToken
        fields = ("user", "name", "scopes", "expires_at")


@admin.register(ApiToken)
class ApiTokenAdmin(ServiceAdmin[ApiToken]):
    """Keys of scripts: made and revoked here, never changed."""

    form = TokenForm
    list_display = (
        "name",
        "user",
        "prefix",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "prefix")
    autocomplete_fields = ("user",)
    actions = ("revoke",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is revoked and made anew, not changed."""
        return obj is None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is revoked, not deleted: who had one stays known."""
        return False

    def save_model(
        self, request: HttpRequest, obj: ApiToken, form: Any, change: bool
    ) -> None:
        """Make the key through the service, and keep it until the answer is made."""
        made, key = create_token(**form.cleaned_data)
        obj.pk = made.pk
        form.key = key

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """Hand the key to the answer; there are no related rows."""
        request.key_to_show = form.key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the key once."""
        return show_once(
            self,
            request,
            what=f"The key '{obj.name}' of {obj.user}.",
            secret=request.key_to_show,  # type: ignore[attr-defined]
            back_url=reverse("admin:registry_apitoken_changelist"),
        )

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        """Revoke each selected key."""
        for_each(self, request, rows, revoke_token, "revoked")
