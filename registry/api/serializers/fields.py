"""Fields of the registry's serializers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class NameField(serializers.CharField):
    """Another object, named by its slug or uid; the door finds the object."""

    def __init__(self, key: str = "slug", **kwargs: Any) -> None:
        self.key = key
        super().__init__(max_length=64, trim_whitespace=False, **kwargs)

    def to_representation(self, value: Any) -> str:
        """Say the name of the object."""
        return str(getattr(value, self.key, value))


class NamesField(serializers.ListField):
    """Several other objects, each named by its slug; the door finds them."""

    child = NameField()

    def get_attribute(self, instance: Any) -> Any:
        """Return the objects."""
        return getattr(instance, str(self.source)).all()


class OwnNameField(serializers.CharField):
    """The object's own slug or uid: exactly as given, or refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, trim_whitespace=False, **kwargs)


class AbsentField(serializers.CharField):
    """A part of the contract that no object can have yet: null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "read_only": True, "allow_null": True})

    def get_attribute(self, instance: Any) -> None:
        """There is nothing to look for."""
        return None
