"""Refusals of the fleet index."""

from __future__ import annotations

from typing import Any

from iotplatform.common.problems import BadInput, Conflict, NotFound, Unavailable


class QueryError(BadInput):
    """A query that is not valid; gives the position of the error."""

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
        """Return the same error for a query that came in another input field."""
        return QueryError(self.message, self.position, self.did_you_mean, field=field)


class IndexUnavailable(Unavailable):
    """There is no index yet; the indexer is building one."""

    def __init__(self) -> None:
        super().__init__("The search index is being built. Try again in a moment.")


class BadCursor(BadInput):
    """A cursor of another search."""

    def __init__(self) -> None:
        super().__init__(cursor="This cursor does not belong to this search.")


class NoSuchCohort(NotFound):
    """The caller sees no cohort with this id."""


class NoSuchSnapshot(NotFound):
    """The caller sees no snapshot with this id."""


class TargetMoved(Conflict):
    """The devices have changed since the preview; lists the difference."""
