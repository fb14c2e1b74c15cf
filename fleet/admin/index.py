"""The state of the index in the admin, read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from fleet.models import IndexState
from iotplatform.common.admin import ReadOnly
from registry.admin.shared.large_lists import Bounded


@admin.register(IndexState)
class IndexStateAdmin(ReadOnly, Bounded, admin.ModelAdmin[Any]):
    """The index that is searched."""

    list_display = ("generation", "documents", "rebuilt_at", "drained_at")
