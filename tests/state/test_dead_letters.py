"""Limits of dead letters: many of one device do not displace those of others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from state.models import DeadLetter, DeadLetterCount
from state.services.dead_letters import (
    KEPT_BYTES_OF_SENDER,
    KEPT_FOR,
    KEPT_OF_SENDER,
    DeadLetterDraft,
    record_dead_letters,
    trim_dead_letters_across_tenants,
)

pytestmark = pytest.mark.django_db


def now() -> datetime:
    return datetime.now(UTC)


def draft(uid: str, payload: bytes = b"{", *, topic: str = "") -> DeadLetterDraft:
    topic = topic or f"iot/v1/{uid}/event"
    return DeadLetterDraft(topic, "mqtt", "bad_json", "no", payload=payload, uid=uid)


def kept_of(sender: str) -> list[bytes]:
    rows = DeadLetter.objects.filter(sender=sender).order_by("pk")
    return [bytes(payload) for payload in rows.values_list("payload", flat=True)]


def test_a_payload_is_stored_up_to_the_protocols_size_limit() -> None:
    whole, large = b"\xff\x00" * 32_768, b"x" * 1_000_000
    record_dead_letters([draft("a", whole), draft("b", large)], now=now())

    assert kept_of("a") == [whole]
    assert kept_of("b") == [large[:65_536]]
    assert DeadLetter.objects.get(sender="b").payload_bytes == 1_000_000


def test_many_letters_of_one_device_leave_its_newest_and_all_of_others() -> None:
    record_dead_letters([draft("quiet")], now=now())

    for batch in range(3):
        storm = [draft("storm", b"%d-%d" % (batch, n)) for n in range(500)]
        record_dead_letters(storm, now=now())

    kept = kept_of("storm")
    assert len(kept) == KEPT_OF_SENDER
    assert (kept[0], kept[-1]) == (b"2-300", b"2-499")
    assert kept_of("quiet") == [b"{"]
    assert DeadLetterCount.objects.get(reason="bad_json").total == 1_501


def test_large_payloads_of_one_device_are_limited_by_bytes() -> None:
    for _ in range(2):
        record_dead_letters([draft("big", b"x" * 65_536)] * 50, now=now())

    assert len(kept_of("big")) == KEPT_BYTES_OF_SENDER // 65_536


def test_relayed_letters_count_for_the_gateway_and_not_for_the_child() -> None:
    topic = "iot/v1/hub-1/child/kid-1/event"
    record_dead_letters([draft("kid-1", topic=topic)], now=now())

    assert DeadLetter.objects.get().sender == "hub-1"


def test_senders_with_most_letters_lose_theirs_first() -> None:
    record_dead_letters([draft("quiet"), draft("calm")], now=now())
    record_dead_letters([draft("loud", b"%d" % n) for n in range(30)], now=now())

    assert trim_dead_letters_across_tenants(now=now(), keep=10) == 22
    assert trim_dead_letters_across_tenants(now=now(), keep=10) == 0

    assert (len(kept_of("quiet")), len(kept_of("calm"))) == (1, 1)
    assert kept_of("loud") == [b"%d" % n for n in range(22, 30)]
    assert DeadLetterCount.objects.get(reason="bad_json").total == 32


def test_payloads_of_all_senders_are_limited_by_bytes() -> None:
    record_dead_letters([draft(f"d{n}", b"x" * 1_000) for n in range(20)], now=now())

    assert trim_dead_letters_across_tenants(now=now(), keep_bytes=5_000) == 15


def test_old_letters_are_deleted() -> None:
    record_dead_letters([draft("a")], now=now() - KEPT_FOR - timedelta(hours=1))
    record_dead_letters([draft("a", b"new")], now=now())

    assert trim_dead_letters_across_tenants(now=now()) == 1
    assert kept_of("a") == [b"new"]
