"""Refusals of the fleet index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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
    """The index cannot be searched now; says why."""

    def __init__(
        self, detail: str = "The search index is being built. Try again in a moment."
    ) -> None:
        super().__init__(detail)


class IndexUnreachable(IndexUnavailable):
    """The search engine does not answer, or its index is broken."""

    def __init__(self) -> None:
        super().__init__("The search index does not answer. Try again in a moment.")


class IndexElsewhere(IndexUnavailable):
    """The index that is kept up to date is not the one of this machine."""

    def __init__(self) -> None:
        super().__init__(
            "The search index that is kept up to date is not on this machine: the"
            " indexer writes it elsewhere. Share IOT_DATA_DIR, or use Elasticsearch."
        )


class BadCursor(BadInput):
    """A cursor of another search."""

    def __init__(self) -> None:
        super().__init__(cursor="This cursor does not belong to this search.")


class NoSuchCohort(NotFound):
    """The caller sees no cohort with this id."""


class NoSuchSnapshot(NotFound):
    """The caller sees no snapshot with this id."""


class NoSuchCall(NotFound):
    """The caller sees no call of a cohort with this id."""


class Claimable(Protocol):
    """Work that one person at a time has."""

    assignee: Any
    closed_at: Any
    closed_by: Any


class CallTaken(Conflict):
    """Somebody was first: the call is theirs, or closed; says which."""

    def __init__(self, call: Claimable) -> None:
        who = call.assignee.get_username() if call.assignee else None
        if call.closed_at is not None:
            by = call.closed_by
            detail = (
                f"{by.get_username()} was first: closed." if by else "It is closed."
            )
        else:
            detail = f"{who} has claimed it." if who else "Nobody has claimed it."
        super().__init__(
            detail,
            assignee=who,
            closed_at=call.closed_at and call.closed_at.isoformat(),
        )


class TargetMoved(Conflict):
    """The devices have changed since the preview; lists the difference."""


class NoSuchEdit(NotFound):
    """The caller sees no edit with this id."""


class CountMoved(Conflict):
    """The query finds another number of devices than the caller expects."""

    def __init__(self, *, expected: int | None, count: int) -> None:
        super().__init__(
            f"The query finds {count} devices now, not {expected}. Look at them again.",
            expected_count=expected,
            count=count,
        )


class NothingToEdit(Conflict):
    """No device of the set may be changed so; says why, by reason."""

    def __init__(self, left_out: Mapping[str, Sequence[str]]) -> None:
        reason = min(left_out, key=lambda text: -len(left_out[text]))
        super().__init__(
            f"No device of this set may be changed so: {left_out[reason][0]} {reason}.",
            left_out=[
                {"reason": text, "count": len(uids), "devices": list(uids)[:20]}
                for text, uids in list(left_out.items())[:20]
            ],
        )


class NoSuchPolicy(NotFound):
    """The caller sees no standing policy with this id."""
