"""Lock a row, and read it with what it points to now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Model

if TYPE_CHECKING:
    from django.db.models import QuerySet

M = TypeVar("M", bound=Model)


def get_locked(rows: QuerySet[M], **which: Any) -> M:
    """Return the row, locked until the transaction ends; raises DoesNotExist.

    Two statements: one that locks and joins at once waits for the lock, and then joins
    what the row pointed to before. So its owner would be nobody, or it would be gone.
    """
    alone = rows.select_related(None).order_by()
    locked = alone.select_for_update(no_key=True, of=("self",))
    return rows.get(pk=locked.values_list("pk", flat=True).get(**which))
