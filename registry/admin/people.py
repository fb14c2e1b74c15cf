"""Django admin: people, their memberships, and the keys of their scripts."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from registry.admin.shared.base import ServiceAdmin, for_each, show_once
from registry.admin.shared.choice_fields import searched
from registry.admin.shared.filters import TenantFilter
from registry.admin.shared.large_lists import Bounded
from registry.admin.shared.tenant_rows import OfTenants
from registry.choices import TokenScope
from registry.models import (
    ApiToken,
    Membership,
    MembershipLimit,
    Project,
    Site,
    User,
)
from registry.permissions import Right
from registry.services.people import add_member, change_member, remove_member
from registry.services.tokens import create_token, revoke_token

# Roles in tenants decide what people may do; Django's groups would be a second source.
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(Bounded, UserAdmin[User]):
    """Accounts; their memberships decide what they may do."""

    list_display = ("username", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Platform", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")


class MembershipForm(forms.ModelForm[Membership]):
    """A person's role in a tenant, and the places it is limited to."""

    # Typed, as in the console: a tenant's admin must not see a list of all accounts.
    user = forms.ModelChoiceField(
        User.objects.all(),
        to_field_name="username",
        widget=forms.TextInput,
        help_text="The name of an account.",
    )
    projects = forms.ModelMultipleChoiceField(
        Project.objects.all(),
        required=False,
        widget=searched(MembershipLimit, "project"),
    )
    sites = forms.ModelMultipleChoiceField(
        Site.objects.all(),
        required=False,
        widget=searched(MembershipLimit, "site"),
        help_text="The member may access only these projects and sites."
        " If you choose none, the whole tenant.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        limits = MembershipLimit.objects.filter(membership=self.instance)
        for name, key in (("projects", "project_id"), ("sites", "site_id")):
            field = cast("forms.ModelMultipleChoiceField[Any]", self.fields[name])
            assert field.queryset is not None
            field.queryset = field.queryset.filter(tenant=self.instance.tenant_id)
            chosen = limits.filter(**{f"{key}__isnull": False})
            self.initial[name] = list(chosen.values_list(key, flat=True))


@admin.register(Membership)
class MembershipAdmin(OfTenants, ServiceAdmin[Membership]):
    """People and their roles in tenants."""

    right = Right.ADMINISTER
    form = MembershipForm
    list_display = ("user", "tenant", "role", "created_at")
    list_select_related = ("user", "tenant")
    list_filter = ("role", TenantFilter)
    search_fields = ("user__username", "tenant__slug")
    autocomplete_fields = ("tenant",)
    fields = ("user", "tenant", "role", "projects", "sites")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("user", "tenant")

    def save_model(
        self, request: HttpRequest, obj: Membership, form: Any, change: bool
    ) -> None:
        given = form.cleaned_data
        role, places = given["role"], [*given["projects"], *given["sites"]]
        if change:
            change_member(obj, role=role, limited_to=places)
            return
        made = add_member(
            tenant=obj.tenant, user=obj.user, role=role, limited_to=places
        )
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        remove_member(obj)


class TokenForm(forms.ModelForm[ApiToken]):
    """A new key."""

    scopes = forms.MultipleChoiceField(choices=TokenScope.choices)

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
    ordering = ("-pk",)
    actions = ("revoke",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is never changed: revoke it and make another."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is revoked, never deleted: its record stays."""
        return False

    def save_model(
        self, request: HttpRequest, obj: ApiToken, form: Any, change: bool
    ) -> None:
        """Make the key, and keep it for the page that shows it."""
        made, key = create_token(**form.cleaned_data)
        obj.pk = made.pk
        form.key = key

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """Pass the key to ``response_add``; there are no related rows."""
        request.key_to_show = form.key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: Any = None
    ) -> HttpResponse:
        return show_once(
            self,
            request,
            what=f"The key '{obj.name}' of {obj.user}.",
            secret=request.key_to_show,  # type: ignore[attr-defined]
            back_url=reverse("admin:registry_apitoken_changelist"),
        )

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        for_each(self, request, rows, revoke_token, "revoked")
