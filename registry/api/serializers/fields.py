"""Fields of the registry's serializers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class NameField(serializers.CharField):
    """Another object, named by its slug or uid; the view finds the object."""

    def __init__(self, key: str = "slug", **kwargs: Any) -> None:
        self.key = key
        super().__init__(max_length=64, trim_whitespace=False, **kwargs)

    def to_representation(self, value: Any) -> str:
        return str(getattr(value, self.key, value))


class TenantField(NameField):
    """The tenant of a new object."""

    def __init__(self) -> None:
        super().__init__(
            required=False, help_text="Optional if you belong to one tenant only."
        )


class NamesField(serializers.ListField):
    """Several other objects, each named by its slug; the view finds them."""

    child = NameField()

    def get_attribute(self, instance: Any) -> Any:
        return getattr(instance, str(self.source)).all()


class OwnNameField(serializers.CharField):
    """The object's own slug or uid: exactly as given, or refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, trim_whitespace=False, **kwargs)
