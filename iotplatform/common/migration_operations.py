"""For migrations that begin with the tables as they are now: operations and columns.

Django renders a model anew after each operation, with every model that refers to it. A
table of ours refers to its tenant, so that is all of them, each time.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import (
    CreateModel,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from iotplatform.common.ids import new_public_id
from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql


class Together(Operation):
    """Operations for which the models are rendered once: before all, and after all.

    So none may need what another one makes, except that a key may refer to any table:
    Django makes the constraints at the end of a migration.
    """

    reversible = True

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = list(operations)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.operations], {}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        state.__dict__.pop("apps", None)  # rendered when it is next asked for
        for operation in self.operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        for operation in self.operations:
            operation.database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        for operation in reversed(self.operations):
            operation.database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return "; ".join(operation.describe() for operation in self.operations)


def partitioned_table(
    model: CreateModel, *, columns: str, key: str, indexes: str, has_id: bool = True
) -> SeparateDatabaseAndState:
    """Return the operation that makes a model's table by SQL, with a partition a day.

    A task makes the partitions of later days. ``key`` is the column of the time.
    """
    table = model.options["db_table"]

    def make_partitions(apps: object, schema_editor: object) -> None:
        ensure_partitions(table, today=datetime.datetime.now(datetime.UTC).date())

    create = partitioned_table_sql(table, columns, key=key, has_id=has_id)
    return SeparateDatabaseAndState(
        database_operations=[
            RunSQL(create + indexes, f"DROP TABLE {table}"),
            RunPython(make_partitions, RunPython.noop),
        ],
        state_operations=[model],
    )


def row_id() -> tuple[str, models.Field[Any, Any]]:
    """Return the column that Django gives a table without a key of its own."""
    return "id", models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


def public_id() -> tuple[str, models.Field[Any, Any]]:
    """Return the column by which others know a row."""
    return "public_id", models.UUIDField(
        default=new_public_id, editable=False, unique=True
    )
