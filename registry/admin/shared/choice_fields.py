"""Form fields that choose among many rows: by search, never from a full list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.db.models import Model


def searched(model: type[Model], key: str) -> AutocompleteSelectMultiple:
    """Return a widget that chooses several rows which a foreign key may refer to.

    It offers the rows that the person sees in the admin's list of that model.
    """
    return AutocompleteSelectMultiple(_key(model, key), admin.site)


def searched_one(model: type[Model], key: str) -> AutocompleteSelect:
    """Return a widget that chooses one of those rows."""
    return AutocompleteSelect(_key(model, key), admin.site)


def _key(model: type[Model], key: str) -> Any:
    return model._meta.get_field(key)
