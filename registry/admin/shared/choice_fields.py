"""Fields of forms that choose among rows which may be many: searched, never listed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.db.models import Model


def searched(model: type[Model], key: str) -> AutocompleteSelectMultiple:
    """Return the widget that chooses several of the rows that a model's key may name.

    What it offers is what the list of those rows shows the person.
    """
    return AutocompleteSelectMultiple(_key(model, key), admin.site)


def searched_one(model: type[Model], key: str) -> AutocompleteSelect:
    """Return the widget that chooses one of them."""
    return AutocompleteSelect(_key(model, key), admin.site)


def _key(model: type[Model], key: str) -> Any:
    return model._meta.get_field(key)
