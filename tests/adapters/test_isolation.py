"""One message or dead letter that fails does not stop the rest of its batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from commands.services import uplink
from iotplatform.adapters.isolation import DatabaseAway, ingest_isolated
from state.models import DeadLetter
from state.services.dead_letters import DeadLetterDraft

pytestmark = pytest.mark.django_db
NOW = datetime(2030, 1, 1, tzinfo=UTC)
RECORD = "record_dead_letters"  # the name by which ingest_batch calls it


def draft(reason: str) -> DeadLetterDraft:
    return DeadLetterDraft(
        topic="iot/v1/nobody/event", adapter="mqtt", reason=reason, detail="a test"
    )


@pytest.fixture
def unrecordable(monkeypatch: pytest.MonkeyPatch) -> list[DeadLetterDraft]:
    """Five dead letters; recording the third one fails."""
    real: Any = getattr(uplink, RECORD)

    def record(letters: Any, **rest: Any) -> Any:
        if any(letter.reason == "bad" for letter in letters):
            raise ZeroDivisionError("unlucky")
        return real(letters, **rest)

    monkeypatch.setattr(uplink, RECORD, record)
    return [draft(reason) for reason in ("a", "b", "bad", "c", "d")]


def recorded() -> list[str]:
    return sorted(DeadLetter.objects.values_list("reason", flat=True))


def test_the_bridge_drops_a_dead_letter_that_cannot_be_recorded(
    unrecordable: list[DeadLetterDraft],
) -> None:
    kept = ingest_isolated([], unrecordable, now=NOW, drop_unrecordable=True)

    assert [letter.reason for letter in kept] == recorded() == ["a", "b", "c", "d"]


def test_an_http_request_with_an_unrecordable_dead_letter_fails(
    unrecordable: list[DeadLetterDraft],
) -> None:
    with pytest.raises(ZeroDivisionError):
        ingest_isolated([], unrecordable, now=NOW)


def test_nothing_is_written_by_a_session_that_lost_its_slots() -> None:
    with pytest.raises(DatabaseAway):
        ingest_isolated([], [draft("a")], now=NOW, may_write=lambda: False)

    assert recorded() == []


def test_a_batch_is_not_split_when_the_session_is_lost_during_the_commit(
    unrecordable: list[DeadLetterDraft],
) -> None:
    answers = iter([True, False])

    with pytest.raises(DatabaseAway):
        ingest_isolated([], unrecordable, now=NOW, may_write=lambda: next(answers))

    assert recorded() == []
