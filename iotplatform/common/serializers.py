"""Serializers that refuse unknown fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses a misspelt or read-only field; DRF ignores it."""

    # Fields that the API documents but does not accept yet, with the reason.
    refused: Mapping[str, str] = {}

    def to_internal_value(self, data: Any) -> Any:
        """Validate all fields, and refuse unknown and read-only ones by name."""
        errors = self._refusals(data) if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            detail = error.detail
            if errors and isinstance(detail, dict):
                raise serializers.ValidationError(errors | dict(detail)) from error
            raise
        if errors:
            raise serializers.ValidationError(errors)
        return value

    def _refusals(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = {}
        for name in data:
            field = self.fields.get(name)
            if name in self.refused:
                if data[name] is not None:
                    errors[name] = [self.refused[name]]
            elif field is None:
                errors[str(name)] = ["There is no such field."]
            elif field.read_only:
                errors[name] = ["This field cannot be set here."]
        return errors
