"""Django admin: the commands that tenants define."""

from __future__ import annotations

from django.contrib import admin

from commands.models import CommandDefinition
from commands.services.definitions import delete_definition, save_definition
from registry.admin.places import OfTenantAdmin
from registry.admin.shared.filters import TenantFilter


@admin.register(CommandDefinition)
class CommandDefinitionAdmin(OfTenantAdmin):
    """A tenant's own commands; the built-in ones are in the code."""

    fixed = ("tenant", "product")
    save_row = staticmethod(save_definition)
    delete_row = staticmethod(delete_definition)
    is_of_whole_tenant = True
    list_display = ("name", "tenant", "product", "command_class", "needs_approval")
    list_select_related = ("tenant", "product")
    list_filter = ("command_class", TenantFilter)
    search_fields = ("name",)
    ordering = ("tenant_id", "name", "pk")
    autocomplete_fields = ("tenant", "product")
