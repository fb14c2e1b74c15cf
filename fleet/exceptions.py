"""Refusals of the fleet index."""

from __future__ import annotations

from typing import Any

from iotplatform.common.problems import BadInput, Conflict, NotFound, Unavailable


class QueryError(BadInput):
    """A query that cannot be understood; points at the place."""

    def __init__(
        self,
        message: str,
        position: int = 0,
        did_you_mean: str | None = None,
        *,
        field: str = "q",
    ) -> None:
        self.message = message
        self.position = position
        self.did_you_mean = did_you_mean
        row: dict[str, Any] = {
            "field": field,
            "message": message,
            "position": position,
            "did_you_mean": did_you_mean,
        }
        super().__init__(f"The query is not valid: {message}", errors=[row])

    def about(self, field: str) -> QueryError:
        """Return the same refusal of a query that came in another field."""
        return QueryError(self.message, self.position, self.did_you_mean, field=field)


class IndexUnavailable(Unavailable):
    """There is no index to ask; the indexer is building one."""

    def __init__(self) -> None:
        super().__init__("The search index is being built; ask again in a moment.")


class BadCursor(BadInput):
    """A cursor that this search did not give."""

    def __init__(self) -> None:
        super().__init__(cursor="This cursor does not belong to this search.")


class NoSuchCohort(NotFound):
    """No cohort of that id for this caller."""


class NoSuchSnapshot(NotFound):
    """No snapshot of that id for this caller."""


class TargetMoved(Conflict):
    """What was previewed no longer holds; says what is different now."""
