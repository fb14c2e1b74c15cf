"""Flags in requests: exactly 1, true, 0 or false."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from rest_framework import serializers

from iotplatform.common.problems import BadInput

FLAGS = {"1": True, "true": True, "0": False, "false": False}
NOT_A_FLAG = "Must be 1, true, 0 or false."


def read_flag(params: Any, name: str) -> bool:
    """Return a flag of the query, default false; raise BadInput naming it."""
    text = params.get(name)
    if text is None:
        return False
    if text not in FLAGS:
        raise BadInput(errors=[{"field": name, "message": NOT_A_FLAG}])
    return FLAGS[text]


class _FlagFormField(forms.Field):
    """Django's own field reads what it does not know as no value."""

    def clean(self, value: Any) -> bool | None:
        if value is None:
            return None
        if value not in FLAGS:
            raise ValidationError(NOT_A_FLAG)
        return FLAGS[value]


class FlagFilter(django_filters.BooleanFilter):  # type: ignore[misc]
    """Narrows a list by a flag; refuses what is not one."""

    field_class = _FlagFormField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.TextInput)
        super().__init__(*args, **kwargs)


class FlagField(serializers.BooleanField):
    """A flag in a body: true or false, 1 or 0; a form sends them as text."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the flag; refuse the other words that DRF accepts, such as "on"."""
        if isinstance(data, str) and data not in FLAGS:
            raise serializers.ValidationError(NOT_A_FLAG)
        return super().to_internal_value(data)
