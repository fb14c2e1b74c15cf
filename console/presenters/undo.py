"""The offer to undo, which the queue shows once, for some seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from console.services.incidents.undo import find_undoable
from iotplatform.common.instants import read_instant

if TYPE_CHECKING:
    from console.models import Incident
    from console.scope import ConsoleRequest

SESSION_KEY = "undo"
OFFERED_SECONDS = 8


@dataclass(frozen=True)
class UndoOffer:
    """What was done, and what takes it back."""

    text: str
    item_id: str
    event_id: int
    seconds: int = OFFERED_SECONDS


def offer_undo(request: ConsoleRequest, row: Incident, *, text: str) -> bool:
    """Keep an offer for the next page; return False where nothing can be undone."""
    event = find_undoable(row, by=request.user)
    if event is None:
        return False
    request.session[SESSION_KEY] = {
        "text": text,
        "item_id": str(row.public_id),
        "event_id": event.pk,
        "at": timezone.now().isoformat(),
    }
    return True


def take_offer(request: ConsoleRequest) -> UndoOffer | None:
    """Return the offer that was kept, once, and only while it is fresh."""
    kept = request.session.pop(SESSION_KEY, None)
    if kept is None:
        return None
    at = read_instant(kept.pop("at"))
    oldest = timezone.now() - timedelta(seconds=OFFERED_SECONDS)
    return UndoOffer(**kept) if at is not None and at > oldest else None
