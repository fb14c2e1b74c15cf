"""A column of PostgreSQL's type ltree, and its lookups."""

from __future__ import annotations

from typing import Any

from django.db.models import Expression, Field, Func, Lookup, TextField


class PathField(Field[str, str]):
    """A path of keys such as ``1.17.4``, written by the database and only read here."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "editable": False, "default": ""})

    def deconstruct(self) -> Any:
        """Leave out the arguments that never change."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)
        kwargs.pop("default", None)
        return name, path, args, kwargs

    def db_type(self, connection: Any) -> str:
        return "ltree"


@PathField.register_lookup
class Within(Lookup[Any]):
    """``path__within=<array of paths>``: equal to one of these paths, or below it."""

    lookup_name = "within"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the comparison that the index supports."""
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        return f"{left} <@ {right}", (*left_values, *right_values)


def slug_path(column: str) -> Expression:
    """Return the slugs of a path column, such as ``hq/floor-2``."""
    return Func(
        column, function="registry_space_path", output_field=TextField(null=True)
    )
